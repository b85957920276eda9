"""What is read from the log: entries, logs and their tiles, proofs."""
