"""Openings of personal values: what a superuser does to them has its own verdicts."""

from uuid import UUID

import pytest

from audit.encoding.erased import Erased, digest
from audit.models import Stream
from audit.pruning.run import prune
from audit.sealing.sealer import Sealer
from audit.services import Context, audited, record
from audit.services.erasure import erase_subject
from audit.services.holds import hold, release
from audit.verification.findings import LogReport, Verdict
from audit.verification.run import verify
from audit.verification.single import verify_entry
from kernel import db
from kernel.ids import encode
from kernel.tenancy import across_tenants, tenant_context
from tests.audit.aged import aged, keep, month_of
from tests.audit.logs import change, erased_before, rows
from tests.audit.superuser import disarmed
from tests.guests import call, new_guest


def about(person: str, **more: str) -> UUID:
    """Record a change with one personal value; return its entry's id."""
    return change(
        before=None, after={"email": f"{person}@x.example", **more}, subject_id=person
    ).event_id


def judged(tenant: UUID) -> LogReport:
    (report,) = verify(tenant).logs
    return report


def test_verify__personal_value_beside_a_large_change__is_valid(
    tenant_id: UUID, sealer: Sealer
) -> None:
    about("usr_1", text="x" * 70_000)
    sealer.drain()
    report = judged(tenant_id)
    assert (report.findings, report.counts) == ([], {})


@pytest.mark.parametrize(
    "doc",
    [
        "[]",
        "7",
        "null",
        '"text"',
        "{}",
        '{"changes.after.email": 5}',
        '{"changes.after.email": []}',
        '{"changes.after.email": ["00"]}',
        '{"changes.after.email": ["zz", "x"]}',
        '{"changes.after.email": [5, "x"]}',
        '{"changes.after.email": ["00", 1e400]}',
        '{"changes.after.email": ["00", {}]}',
        '{"changes.after.email": ["00", "x", "y"]}',
        '{"": {"": null}}',
    ],
)
def test_verify__stored_opening_is_no_opening__is_invalid_at_its_place(
    tenant_id: UUID, sealer: Sealer, doc: str
) -> None:
    about("usr_1")
    harmed = about("usr_2")
    sealer.drain()
    with disarmed() as link:
        link.execute("UPDATE audit_pii SET doc = %s WHERE event_id = %s", [doc, harmed])
    report = judged(tenant_id)
    assert report.first_bad == 1
    assert Verdict.ERASED not in report.counts


@pytest.mark.parametrize("doc", ["[]", "7", '{"changes.after.email": 5}', '{"x": ["00", "y"]}'])
def test_api__stored_opening_is_no_opening__shows_the_commitment(doc: str) -> None:
    guest = new_guest()
    with tenant_context(guest.id):
        event = about("usr_1")
    with disarmed() as link:
        link.execute("UPDATE audit_pii SET doc = %s WHERE event_id = %s", [doc, event])
    answer = call("GET", f"audit/events/{encode('aud', event)}", guest.key)
    assert answer.status == 200
    assert answer.body["changes"]["after"]["email"].startswith("c:")


@pytest.mark.parametrize(
    ("text", "forge", "detail"),
    [
        (
            "x" * 70_000,
            "UPDATE audit_pii SET doc = jsonb_set(doc, '{changes.after.email,1}', '\"forged\"') "
            "WHERE event_id = %s",
            "the value of changes.after.email is not the committed one",
        ),
        (
            "x",
            "INSERT INTO audit_pii SELECT event_id, 'usr_0', tenant_id, doc FROM audit_pii "
            "WHERE event_id = %s",
            "changes.after.email is opened twice",
        ),
    ],
    ids=["of a large change", "twice"],
)
def test_verify__opening_forged__is_invalid(
    tenant_id: UUID, sealer: Sealer, text: str, forge: str, detail: str
) -> None:
    event = about("usr_1", text=text)
    sealer.drain()
    with disarmed() as link:
        link.execute(forge, [event])
    report = judged(tenant_id)
    assert report.counts == {Verdict.INVALID: 1}
    assert report.findings[0].detail == detail


def test_verify__opening_put_into_another_tenants_reach__is_unopened(
    tenant_id: UUID, sealer: Sealer
) -> None:
    about("usr_1")
    sealer.drain()
    with disarmed() as link:
        link.execute(
            "UPDATE audit_pii SET tenant_id = gen_random_uuid() WHERE tenant_id = %s", [tenant_id]
        )
    assert judged(tenant_id).counts == {Verdict.UNOPENED: 1}


def test_verify__openings_torn_out__are_unopened_at_their_places(
    tenant_id: UUID, sealer: Sealer
) -> None:
    """Of two people one was erased lawfully; what is taken beyond that is told apart."""
    about("usr_1")
    torn = about("usr_2")
    erase_subject(tenant_id, "usr_1")
    sealer.drain()
    assert judged(tenant_id).counts == {Verdict.ERASED: 1}
    with disarmed() as link:
        link.execute("DELETE FROM audit_pii WHERE event_id = %s", [torn])
    report = judged(tenant_id)
    assert report.counts == {Verdict.ERASED: 1, Verdict.UNOPENED: 1}
    assert [(one.verdict, one.index) for one in report.findings] == [(Verdict.UNOPENED, 1)]
    assert "no erasure tells of that" in report.findings[0].detail


def test_verify__two_people_in_one_entry__only_the_erased_one_is_forgiven(
    tenant_id: UUID, sealer: Sealer
) -> None:
    event = change(
        before=None, after={"email": "a@x.example"}, subject_id="usr_1", reason="as asked"
    ).event_id
    erase_subject(tenant_id, "usr_1")
    sealer.drain()
    assert judged(tenant_id).counts == {Verdict.ERASED: 1}
    with disarmed() as link:
        link.execute("DELETE FROM audit_pii WHERE event_id = %s", [event])
    report = judged(tenant_id)
    assert report.counts == {Verdict.ERASED: 1, Verdict.UNOPENED: 1}
    assert "context.reason" in report.findings[0].detail


@pytest.mark.parametrize(
    "forgery",
    [
        # an erasure that nobody made
        "INSERT INTO audit_erased SELECT event_id, gen_random_uuid(), tenant_id, "
        "ARRAY(SELECT jsonb_object_keys(doc)) FROM audit_pii WHERE event_id = %(event)s",
        # more than a true erasure took
        "INSERT INTO audit_erased SELECT p.event_id, e.erasure, p.tenant_id, "
        "ARRAY(SELECT jsonb_object_keys(p.doc)) FROM audit_pii p, audit_erased e "
        "WHERE p.event_id = %(event)s AND e.tenant_id = p.tenant_id",
        # a true erasure's share, moved
        "UPDATE audit_erased e SET event_id = %(event)s FROM audit_pii p "
        "WHERE p.event_id = %(event)s AND e.tenant_id = p.tenant_id",
    ],
)
def test_verify__forged_record_of_an_erasure__forgives_nothing(
    tenant_id: UUID, sealer: Sealer, forgery: str
) -> None:
    about("usr_1")
    torn = about("usr_2")
    erase_subject(tenant_id, "usr_1")
    sealer.drain()
    with disarmed() as link:
        link.execute(forgery, {"event": torn})
        link.execute("DELETE FROM audit_pii WHERE event_id = %s", [torn])
    report = judged(tenant_id)
    assert report.counts.get(Verdict.UNOPENED, 0) >= 1
    assert 1 in [one.index for one in report.findings]


def test_verify__record_of_an_erasure_deleted__is_unopened(tenant_id: UUID, sealer: Sealer) -> None:
    about("usr_1")
    erase_subject(tenant_id, "usr_1")
    sealer.drain()
    with disarmed() as link:
        link.execute("DELETE FROM audit_erased WHERE tenant_id = %s", [tenant_id])
    assert judged(tenant_id).counts == {Verdict.UNOPENED: 1}


def test_verify__erasures_of_before__forgive_as_many_values_as_they_tell_of(
    tenant_id: UUID, sealer: Sealer
) -> None:
    about("usr_1")
    torn = about("usr_2")
    erased_before(tenant_id, "usr_1", 1)
    sealer.drain()
    assert judged(tenant_id).counts == {Verdict.ERASED: 1}
    with disarmed() as link:
        link.execute("DELETE FROM audit_pii WHERE event_id = %s", [torn])
    report = judged(tenant_id)
    assert report.counts == {Verdict.ERASED: 1, Verdict.UNOPENED: 1}
    assert "2 values have no opening, older erasures tell of 1" in report.findings[0].detail


def test_verify__tenants_own_entry_that_calls_itself_an_erasure__forgives_nothing(
    tenant_id: UUID, sealer: Sealer
) -> None:
    torn = about("usr_1")
    with audited():
        record(
            action="audit.pii.erased",
            tenant_id=tenant_id,
            metadata={"values": 1_000},
            stream=Stream.TENANT,
        )
    sealer.drain()
    with disarmed() as link:
        link.execute("DELETE FROM audit_pii WHERE event_id = %s", [torn])
    (platform, _) = verify(tenant_id).logs
    assert platform.counts == {Verdict.UNOPENED: 1}


def test_prune__values_erased_from_what_a_hold_keeps__keeps_the_erasure(
    tenant_id: UUID, sealer: Sealer
) -> None:
    month = month_of(400)
    aged(tenant_id, month, 2, actor="usr_1", email="x@example.org")
    erase_subject(tenant_id, "usr_1")
    with disarmed() as link:
        link.execute(
            "UPDATE audit_event SET recorded_at = %s WHERE tenant_id = %s AND target_id = 'usr_1'",
            [month, tenant_id],
        )
    sealer.drain()
    with db.use_alias("staff"), across_tenants():
        held = hold(tenant_id, reason="Doe v. Roe", narrowed={"action": "sample.*"}).id
    keep(tenant_id, 90)
    prune(tenant_id)
    assert judged(tenant_id).counts == {Verdict.ERASED: 2}
    with db.use_alias("staff"), across_tenants():
        release(held)
    prune(tenant_id)
    assert judged(tenant_id).counts == {Verdict.PRUNED: 3}


def test_verify_entry__erased_and_torn_out__are_told_apart(tenant_id: UUID, sealer: Sealer) -> None:
    erased, torn = about("usr_1"), about("usr_2")
    erase_subject(tenant_id, "usr_1")
    sealer.drain()
    assert verify_entry(erased, tenant_id).counts == {Verdict.ERASED: 1}
    with disarmed() as link:
        link.execute("DELETE FROM audit_pii WHERE event_id = %s", [torn])
    assert verify_entry(torn, tenant_id).counts == {Verdict.UNOPENED: 1}


def test_digest__of_an_erasure__is_the_databases(tenant_id: UUID) -> None:
    for person in ("usr_1", "usr_1"):
        change(before={"email": "a"}, after={"email": "b"}, subject_id=person)
    erase_subject(tenant_id, "usr_1")
    parts = rows("SELECT event_id, paths, erasure FROM audit_erased WHERE tenant_id = %s",
                 tenant_id)  # fmt: skip
    ((told,),) = rows(
        "SELECT convert_from(leaf, 'UTF8')::jsonb #>> '{context,metadata,openings}' "
        "FROM audit_event WHERE id = %s",
        parts[0][2],
    )
    assert len(parts) == 2
    assert told == digest(Erased(event, tuple(paths)) for event, paths, _ in parts)


def test_verify__value_that_looks_like_a_commitment__is_valid_and_can_be_read(
    tenant_id: UUID, sealer: Sealer
) -> None:
    """Whoever may write entries could else have any log called damaged."""
    sham = "c:" + "A" * 43
    event = change(
        before=None,
        after={"name": sham},
        metadata={"note": sham},
        context=Context("user", "usr_1", request_id=sham),
    ).event_id
    sealer.drain()
    report = judged(tenant_id)
    assert (report.findings, report.counts) == ([], {})
    opened = rows("SELECT value ->> 1 FROM audit_pii, jsonb_each(doc) WHERE event_id = %s", event)
    assert opened == [(sham,), (sham,)]
