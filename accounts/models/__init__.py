"""People (global), their memberships and keys (a tenant's), platform keys (the operator's)."""

from accounts.models.groups import StaffGrant
from accounts.models.keys import ApiKey, Environment, PlatformKey
from accounts.models.members import Membership
from accounts.models.users import User

__all__ = ["ApiKey", "Environment", "Membership", "PlatformKey", "StaffGrant", "User"]
