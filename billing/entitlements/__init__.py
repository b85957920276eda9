"""What a tenant effectively has: the plan's values, overrides on top, quotas and their use."""
