"""What a group of the operator's staff may do over the API."""

from django.contrib.auth.models import Group
from django.db import models


class StaffGrant(models.Model):
    """One permission of a staff group, ``resource:action``; no row, no permission.

    Django's own permissions of a group open pages of the operator's site; these open the API.
    """

    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="grants")
    permission = models.TextField()

    class Meta:
        db_table = "accounts_staff_grant"
        constraints = [
            models.UniqueConstraint(
                fields=["group", "permission"], name="accounts_staff_grant_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.group}: {self.permission}"
