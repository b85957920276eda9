"""The commands of the first operator."""

import io

import pytest
from django.core.management import CommandError, call_command

from accounts import queries
from accounts.models import User
from audit.models import Event
from kernel.ids import new_id
from tests.guests import call, system


def test_create_staff__prints_a_password_that_holds():
    email, told = f"{new_id().hex}@staff.example", io.StringIO()

    call_command("create_staff", email.upper(), stdout=told)

    address, password = told.getvalue().split()
    with system():
        user = User.objects.get(email=email)
        recorded = Event.objects.filter(action="staff.created", target_id=user.public_id).count()
    assert (address, user.is_superuser, recorded) == (email, True, 1)
    assert user.check_password(password)


def test_create_staff__in_a_group__may_do_what_the_group_may_and_no_more():
    email, group = f"{new_id().hex}@staff.example", f"support-{new_id().hex}"

    call_command("staff_group", group, "tenants:read", "keys:*", stdout=io.StringIO())
    call_command("create_staff", email, "--group", group, stdout=io.StringIO())

    with system():
        user = User.objects.get(email=email)
        granted = queries.staff.permissions_of(user)
        recorded = set(
            Event.objects.filter(target_id__in=[group, user.public_id]).values_list(
                "action", flat=True
            )
        )
    assert (user.is_staff, user.is_superuser) == (True, False)
    assert granted == {"tenants:read", "keys:*"}
    assert recorded == {"staff.group_changed", "staff.appointed"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["staff_group", "support", "everything"], "resource:action"),
        (["create_staff", "ada@staff.example", "--group", "nobody's"], "no group"),
    ],
)
def test_staff_commands__unknown_names__are_errors(arguments, complaint):
    with pytest.raises(CommandError, match=complaint):
        call_command(*arguments)


def test_create_platform_key__prints_a_key_with_these_permissions():
    told = io.StringIO()

    call_command("create_platform_key", "gateway", "keys:verify", "me:read", stdout=told)

    me = call("GET", "me", told.getvalue().strip()).body
    assert (me["kind"], me["permissions"]) == ("platform_key", ["keys:verify", "me:read"])


def test_create_platform_key__malformed_permission__is_an_error():
    with pytest.raises(CommandError, match="resource:action"):
        call_command("create_platform_key", "gateway", "everything")
