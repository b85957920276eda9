"""Accounts: people, memberships, roles and keys. See README.md."""
