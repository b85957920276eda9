"""Innkeeper's benchmarks: what one request costs, beside the floors and beside the usual assembly
of packages."""
