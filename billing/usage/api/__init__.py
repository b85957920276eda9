"""The HTTP face of usage: CloudEvents in, meters and their figures out (OpenMeter's contract)."""
