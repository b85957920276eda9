"""Reading people, members and keys: one module a noun."""

from accounts.queries import keys, members, platform_keys, staff

__all__ = ["keys", "members", "platform_keys", "staff"]
