"""Usage, catalogue, subscriptions, entitlements: what tenants buy and what they used of it."""
