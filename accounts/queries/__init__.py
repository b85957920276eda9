"""Reading members and keys: one module a noun."""

from accounts.queries import keys, members, platform_keys

__all__ = ["keys", "members", "platform_keys"]
