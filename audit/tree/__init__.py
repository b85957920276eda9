"""RFC 6962 Merkle trees, pure: hashes, growth, proofs and their verification."""
