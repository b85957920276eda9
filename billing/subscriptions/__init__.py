"""Which plan version a tenant has, and had, with the times between."""
