"""The sealed audit log: written with the change, sealed into per-tenant Merkle trees, provable offline."""
