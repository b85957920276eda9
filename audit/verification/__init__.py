"""Checks the stored log as an adversary's work: bytes, columns, trees, notes, anchors."""
