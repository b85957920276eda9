"""The sealed audit log: written with the change, sealed into trees, provable offline."""
