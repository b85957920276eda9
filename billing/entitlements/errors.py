"""What can go wrong with entitlements beyond the kernel's kinds."""

from kernel.errors import Conflict


class OverrideOverlapError(Conflict):
    """Another override of the tenant and feature holds during a part of the same time."""

    code = "override_overlap"
