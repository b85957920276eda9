"""An erased person is gone from the log, and every proof of it stays."""

from uuid import UUID, uuid4

import pytest
from django.db.utils import ProgrammingError

from audit.sealing.checkpoints import issue
from audit.sealing.sealer import Sealer
from audit.services.erasure import erase_subject
from audit.verification.findings import Verdict
from audit.verification.run import verify
from kernel import db
from kernel.tenancy import tenant_context
from tests.audit.logs import change, rows
from tests.guests import call, new_guest, new_key


def _about(person: str) -> UUID:
    return change(
        before={"email": f"{person}@old.example"},
        after={"email": f"{person}@new.example"},
        subject_id=person,
    ).event_id


def test_erase__person__opens_no_more_and_verifies_green(tenant_id: UUID, sealer: Sealer) -> None:
    gone, kept = _about("usr_1"), _about("usr_2")
    sealer.drain()
    (log_id,) = rows("SELECT log_id FROM audit_head WHERE tenant_id = %s", tenant_id)[0]
    note = issue(log_id)

    assert erase_subject(tenant_id, "usr_1", reason="asked to") == 2
    assert erase_subject(tenant_id, "usr_1") == 0

    left = rows("SELECT event_id FROM audit_pii WHERE tenant_id = %s AND subject_id LIKE 'usr%%'",
                tenant_id)  # fmt: skip
    assert left == [(kept,)]
    searchable = rows("SELECT event_id FROM audit_search WHERE tenant_id = %s", tenant_id)
    assert searchable == [(kept,)]
    (report,) = verify(tenant_id).logs
    assert report.valid
    assert report.counts == {Verdict.ERASED: 2}
    assert issue(log_id) == note
    told = rows(
        "SELECT convert_from(leaf, 'UTF8')::jsonb -> 'context' -> 'metadata' ->> 'values' "
        "FROM audit_event WHERE tenant_id = %s AND action = 'audit.pii.erased' ORDER BY id",
        tenant_id,
    )
    assert told == [("2",), ("0",)]
    assert gone != kept


def test_erase__same_person_in_another_tenant__is_untouched(tenant_id: UUID) -> None:
    other = uuid4()
    with tenant_context(other):
        _about("usr_1")
    _about("usr_1")
    erase_subject(tenant_id, "usr_1")
    assert rows("SELECT count(*) FROM audit_pii WHERE tenant_id = %s", other) == [(1,)]


def test_function__app_for_another_tenant__is_refused(tenant_id: UUID) -> None:
    with db.cursor() as cursor, pytest.raises(ProgrammingError, match="another tenant"):
        cursor.execute("SELECT audit_erase_subject(%s, 'usr_1', %s)", [uuid4(), uuid4()])


def test_api__erasure__needs_its_permission_and_answers_the_count() -> None:
    guest = new_guest()
    with tenant_context(guest.id):
        event = _about("usr_7")
    reader = new_key(guest.id, "audit:read")
    body = {"subject": "usr_7"}
    assert call("POST", "audit/erasures", reader.text, body).status == 403
    answer = call("POST", "audit/erasures", guest.key, body)
    assert (answer.status, answer.body) == (200, {"subject": "usr_7", "erased": 2})
    assert rows("SELECT 1 FROM audit_pii WHERE event_id = %s", event) == []
    fault = call("POST", "audit/erasures", guest.key, {"subject": ""})
    assert (fault.status, fault.body["errors"][0]["pointer"]) == (400, "/subject")
