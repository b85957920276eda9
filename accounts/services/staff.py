"""The operator's people. Runs across tenants (alias staff)."""

from accounts.actions import STAFF_CREATED
from accounts.models import User
from accounts.models.users import normal_email
from audit.services import audited, record


def create_superuser(email: str, password: str) -> User:
    """Make a person who may do everything on the operator's site, or give one that power.

    An existing person keeps their id and gets the password.
    """
    address = normal_email(email)
    with audited():
        user = User.objects.select_for_update().filter(email=address).first()
        user = user or User(email=address)
        user.is_staff = user.is_superuser = user.is_active = True
        user.set_password(password)
        user.save()
        record(
            action=STAFF_CREATED.name,
            target_type="user",
            target_id=user.public_id,
            after={"email": user.email, "superuser": True},
        )
    return user
