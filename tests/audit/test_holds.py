"""Legal holds: set and released by the operator only, recorded, and stronger than an erasure."""

import json
from uuid import UUID, uuid4

import pytest
from django.db.utils import IntegrityError

from audit.models import Event
from audit.services.erasure import erase_subject
from audit.services.holds import hold, release
from kernel import db
from kernel.errors import Conflict, Invalid, NotFound
from kernel.ids import encode
from kernel.tenancy import across_tenants, tenant_context
from tests.audit.logs import change, rows
from tests.guests import call, new_guest, operator_key


def set_hold(tenant: UUID, **narrowed: str) -> UUID:
    with db.use_alias("staff"), across_tenants():
        return hold(tenant, reason="Doe v. Roe", narrowed=narrowed).id


def about(person: str) -> None:
    change(before=None, after={"email": f"{person}@example.org"}, subject_id=person)


@pytest.mark.parametrize(
    ("narrowed", "refused"),
    [
        ({}, True),
        ({"person": "usr_1"}, True),
        ({"action": "sample.*"}, True),
        ({"from": "2020-01-01T00:00:00Z"}, True),
        ({"person": "usr_2"}, False),
        ({"action": "sample"}, False),
        ({"action": "sample.renamed", "person": "usr_2"}, False),
        ({"to": "2020-01-01T00:00:00Z"}, False),
        ({"target": "smp_2"}, False),
    ],
)
def test_erasure__under_a_hold__is_refused_where_it_covers(
    tenant_id: UUID, narrowed: dict[str, str], refused: bool
) -> None:
    about("usr_1")
    held = set_hold(tenant_id, **narrowed)
    if refused:
        with pytest.raises(Conflict) as error:
            erase_subject(tenant_id, "usr_1")
        assert error.value.code == "audit_legal_hold"
        assert not Event.objects.filter(action="audit.pii.erased").exists()
        with db.use_alias("staff"), across_tenants():
            release(held)
    assert erase_subject(tenant_id, "usr_1") == 1


def test_hold__zone_that_the_database_does_not_know__is_stored_in_utc(tenant_id: UUID) -> None:
    """As it was given it would have ended every erasure, and pruning, with an error."""
    about("usr_1")
    set_hold(tenant_id, to="2020-01-02T00:00:00+23:59")
    assert rows("SELECT filter ->> 'to' FROM audit_hold WHERE tenant_id = %s", tenant_id) == [
        ("2020-01-01T00:01:00+00:00",)
    ]
    assert erase_subject(tenant_id, "usr_1") == 1


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_hold__time_beyond_the_calendar__is_refused(tenant_id: UUID, time: str) -> None:
    with pytest.raises(Invalid):
        set_hold(tenant_id, to=time)


def test_hold__of_another_tenant__concerns_nobody_else(tenant_id: UUID) -> None:
    about("usr_1")
    set_hold(uuid4())
    assert erase_subject(tenant_id, "usr_1") == 1


def test_hold__set_and_released__is_told_in_the_tenants_log(tenant_id: UUID) -> None:
    held = set_hold(tenant_id, action="sample.*")
    with db.use_alias("staff"), across_tenants():
        assert release(held).released_at == release(held).released_at
    found = Event.objects.filter(target_id=encode("hld", held)).order_by("id")
    assert [one.action for one in found] == ["audit.hold.set", "audit.hold.released"]
    context = json.loads(bytes(found[0].leaf))["context"]
    assert context["metadata"] == {"filter": {"action": "sample.*"}}
    assert context["reason"].startswith("c:")


@pytest.mark.parametrize("narrowed", [{"x": "y"}, {"from": "monday"}, {"actor": ""}])
def test_hold__malformed_filter__is_refused(tenant_id: UUID, narrowed: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        set_hold(tenant_id, **narrowed)


def test_hold__without_reason_or_unknown__is_refused(tenant_id: UUID) -> None:
    with db.use_alias("staff"), across_tenants():
        with pytest.raises(Invalid):
            hold(tenant_id, reason="  ")
        with pytest.raises(NotFound):
            release(uuid4())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_hold SET released_at = now() WHERE tenant_id = %s",
        "INSERT INTO audit_retention (tenant_id, days) VALUES (%s, 1)",
    ],
)
def test_guard__change_without_an_entry__does_not_commit(tenant_id: UUID, statement: str) -> None:
    held = set_hold(tenant_id)
    with (
        pytest.raises(IntegrityError, match="needs an audit entry"),
        db.use_alias("staff"),
        db.cursor() as cursor,
    ):
        cursor.execute(statement, [tenant_id])
    assert rows("SELECT released_at FROM audit_hold WHERE id = %s", held) == [(None,)]


def test_api__operator__sets_rules_and_holds_and_the_tenant_sees_them() -> None:
    guest, operator = new_guest(), operator_key()
    ten = guest.public_id
    made = call("PUT", "admin/audit/retention", operator, {"tenant": ten, "days": 90})
    assert (made.status, made.body) == (200, {"tenant": ten, "plan": None, "days": 90})
    body = {"tenant": ten, "reason": "Doe v. Roe", "filter": {"person": "usr_1"}}
    held = call("POST", "admin/audit/holds", operator, body)
    assert (held.status, held.body["filter"]) == (201, {"person": "usr_1"})
    own = call("GET", "audit/retention", guest.key)
    assert own.body == {"days": 90, "rule": "tenant", "held": True, "pruned": []}
    listed = call("GET", f"admin/audit/holds?tenant={ten}&open=true", operator).body["items"]
    assert [one["id"] for one in listed] == [held.body["id"]]
    path = f"admin/audit/holds/{held.body['id']}/release"
    assert call("POST", path, operator, {"reason": "settled"}).body["released_at"]
    assert call("GET", f"admin/audit/holds?tenant={ten}&open=true", operator).body["items"] == []
    inherit = {"tenant": ten, "inherit": True}
    assert call("PUT", "admin/audit/retention", operator, inherit).status == 200
    own = call("GET", "audit/retention", guest.key).body
    assert (own["rule"], own["held"]) == ("none", False)


def test_api__erasure_under_a_hold__answers_409() -> None:
    guest = new_guest()
    with tenant_context(guest.id):
        about("usr_1")
    set_hold(guest.id)
    answer = call("POST", "audit/erasures", guest.key, {"subject": "usr_1"})
    assert (answer.status, answer.code) == (409, "audit_legal_hold")


def test_api__tenant_key__may_not_touch_rules_or_holds() -> None:
    guest = new_guest()
    body = {"tenant": guest.public_id, "reason": "x"}
    assert call("POST", "admin/audit/holds", guest.key, body).status == 403
    assert call("PUT", "admin/audit/retention", guest.key, {"days": 1}).status == 403


def test_api__rule_without_days__is_refused() -> None:
    answer = call("PUT", "admin/audit/retention", operator_key(), {"plan": "basic"})
    assert (answer.status, answer.body["errors"][0]["pointer"]) == (400, "/days")
