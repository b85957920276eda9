"""Tenants: the record of an organisation and its life. See README.md."""
