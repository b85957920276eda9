"""A person is erased while the words of an entry about them are being indexed: two connections."""

from collections.abc import Callable
from uuid import UUID

import pytest

from audit.models import Head
from audit.sealing import search
from audit.sealing.sealer import Sealer
from audit.services.erasure import erase_subject
from kernel import db
from kernel.tenancy import across_tenants
from tests.audit.logs import change, rows
from tests.audit.superuser import superuser
from tests.audit.threads import beside
from tests.waiting import until

_WAITING = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
    "AND wait_event_type = 'Lock' AND query LIKE '%audit_erase_subject%'"
)


def _about(person: str) -> UUID:
    return change(after={"email": f"{person}@example.org"}, subject_id=person).event_id


def _words(event: UUID) -> str:
    found = rows("SELECT words::text FROM audit_search WHERE event_id = %s", event)
    return str(found[0][0]) if found else ""


@pytest.fixture
def sealed_unindexed(sealer: Sealer, monkeypatch: pytest.MonkeyPatch) -> Callable[[], UUID]:
    """Give the entries places and leave their words out, as a crash in between does."""

    def seal() -> UUID:
        with monkeypatch.context() as patch:
            patch.setattr(search, "fill", lambda logs: search.Filled())
            sealer.drain()
        return Head.objects.get(stream=0).log_id

    return seal


def test_erase__words_written_and_not_committed__waits_and_takes_them_too(
    tenant_id: UUID, sealed_unindexed: Callable[[], UUID]
) -> None:
    """The worst moment: openings are read, words written, and the erasure cannot see them yet."""
    gone, kept = _about("usr_1"), _about("usr_2")
    log_id = sealed_unindexed()
    with db.use_alias("sealer"), across_tenants(), db.atomic():
        assert search.fill([log_id]) == search.Filled()
        erasing, erased = beside(lambda: erase_subject(tenant_id, "usr_1"))
        with superuser() as link:
            until("the erasure waits for the indexer", lambda: link.execute(_WAITING).fetchone())
    erasing.join(30)
    assert erased == [1]
    assert _words(gone) == ""
    assert "'usr_2@example.org'" in _words(kept)


def test_index__openings_about_to_go__is_not_kept_waiting_and_writes_none_of_them(
    tenant_id: UUID, sealer: Sealer, sealed_unindexed: Callable[[], UUID]
) -> None:
    first, gone, last = _about("usr_1"), _about("usr_2"), _about("usr_3")
    sealed_unindexed()
    sealer.release()
    heir = Sealer()  # who leads next does not know what is indexed, and looks at every log
    with db.atomic():
        assert erase_subject(tenant_id, "usr_2") == 1
        heir.drain()
        assert "'usr_1@example.org'" in _words(first)
        assert (_words(gone), _words(last)) == ("", "")
    heir.drain()
    heir.release()
    assert "'renamed'" in _words(gone)
    assert "usr_2@" not in _words(gone)
    assert "'usr_3@example.org'" in _words(last)


def test_index__erasure_rolled_back__has_the_words_after_all(
    tenant_id: UUID, sealer: Sealer
) -> None:
    kept = _about("usr_1")
    with pytest.raises(InterruptedError), db.atomic():
        assert erase_subject(tenant_id, "usr_1") == 1
        sealer.drain()
        assert rows("SELECT 1 FROM audit_leaf WHERE event_id = %s", kept) == [(1,)]
        assert _words(kept) == ""
        raise InterruptedError
    sealer.drain()
    assert "'usr_1@example.org'" in _words(kept)
