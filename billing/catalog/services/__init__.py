"""Changes of the catalogue, as staff: one verb, one transaction, one audit entry."""
