"""Measures the sealed log: what an entry costs, how soon it is sealed, how fast it is proven."""
