"""What a DRF view gets that is no Endpoint. Apart, since DRF imports it while loading its views."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class DenyAll(BasePermission):
    """What a DRF view gets that is no Endpoint: nobody."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Refuse."""
        return False
