"""Retention: what is old goes month by month, announced and provable; nothing else goes."""

import io
from base64 import b64decode
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db.utils import IntegrityError, ProgrammingError

from audit.models import Event, Head, Stream
from audit.pruning import ranges
from audit.pruning.plan import cut
from audit.pruning.run import Round, prune
from audit.queries import proofs, retention
from audit.sealing import checkpoints
from audit.sealing.sealer import Sealer
from audit.sealing.tiles import DatabaseTiles
from audit.services.holds import hold, release
from audit.tree.verify import check_inclusion
from audit.verification.findings import LogReport, Verdict
from audit.verification.run import verify
from kernel import db
from kernel.errors import Conflict
from kernel.ids import encode
from kernel.tenancy import across_tenants, tenant_context
from tests.audit.aged import aged, keep, month_of, partition
from tests.audit.logs import changes, rows
from tests.audit.superuser import disarmed, superuser
from tests.guests import call, new_guest

OLD = month_of(400)


class Aged:
    """A tenant with 300 entries of an old month, five new ones and a rule of 90 days."""

    def __init__(self, tenant: UUID, sealer: Sealer) -> None:
        self.tenant, self.sealer = tenant, sealer
        self.old = aged(tenant, OLD, 300)
        sealer.drain()
        with tenant_context(tenant):
            self.log = Head.objects.get(stream=Stream.PLATFORM).log_id
            self.note = checkpoints.issue(self.log)
        changes(tenant, 5)
        keep(tenant, 90)
        sealer.drain()

    def prune(self) -> Round:
        done = prune(self.tenant)
        self.sealer.drain()
        return done

    def report(self) -> LogReport:
        (report,) = verify(self.tenant, log_id=self.log).logs
        return report


def set_hold(tenant: UUID, **narrowed: str) -> UUID:
    with db.use_alias("staff"), across_tenants():
        return hold(tenant, reason="Doe v. Roe", narrowed=narrowed).id


def end_hold(hold_id: UUID) -> None:
    with db.use_alias("staff"), across_tenants():
        release(hold_id)


def left(tenant: UUID) -> set[UUID]:
    """Name the entries of the old month that still have bytes."""
    sql = "SELECT id FROM audit_event WHERE tenant_id = %s AND recorded_at < %s"
    return {row[0] for row in rows(sql, tenant, cut(-31, OLD))}


@pytest.fixture
def old(tenant_id: UUID, sealer: Sealer) -> Aged:
    return Aged(tenant_id, sealer)


def test_prune__old_month__loses_its_bytes_only(old: Aged) -> None:
    done = old.prune()
    assert [(step.fresh, step.upto) for step in done.steps] == [(((0, 300),), 300)]
    assert left(old.tenant) == set()
    report = old.report()
    assert (report.valid, report.counts[Verdict.PRUNED]) == (True, 300)
    assert [(one.verdict, one.index, one.detail) for one in report.findings] == [
        (Verdict.PRUNED, 0, "places 0 to 299 are pruned")
    ]
    with tenant_context(old.tenant):
        assert Event.objects.filter(action="sample.renamed").count() == 5


def test_prune__afterwards__every_proof_still_verifies(old: Aged) -> None:
    old.prune()
    with tenant_context(old.tenant):
        head = Head.objects.get(log_id=old.log)
        published = proofs.checkpoint(old.log)
        tiles = DatabaseTiles(old.log)
        for index in (0, 255, 299, 300):
            (digest,) = rows(
                "SELECT leaf_hash FROM audit_leaf WHERE log_id = %s AND leaf_index = %s",
                old.log,
                index,
            )[0]
            path = proofs.proofs.inclusion_proof(tiles, index, published.size)
            check_inclusion(
                bytes(digest), index=index, size=published.size, path=path, root=published.root
            )
        assert proofs.consistency(head, 300, head.size).path


def test_api__pruned_entries__are_gone_and_still_proved(sealer: Sealer) -> None:
    guest = new_guest()
    (entry,) = aged(guest.id, OLD, 1, stream=Stream.TENANT)
    sealer.drain()
    shown = encode("aud", entry.id)
    assert call("GET", f"audit/events/{shown}", guest.key).status == 200
    keep(guest.id, 90)
    prune(guest.id)
    answer = call("GET", f"audit/events/{shown}", guest.key)
    assert (answer.status, answer.code) == (410, "audit_entries_pruned")
    proof = call("GET", f"audit/events/{shown}/proof", guest.key).body
    assert (proof["leaf"], b64decode(proof["leaf_hash"])) == ("", entry.leaf_hash)
    root = b64decode(proof["checkpoint"].split("\n")[2])
    check_inclusion(
        entry.leaf_hash,
        index=proof["leaf_index"],
        size=proof["size"],
        path=[b64decode(one) for one in proof["path"]],
        root=root,
    )
    tile = f"audit/tlog/{proof['log']}/tile/entries/000.p/1"
    assert call("GET", tile, guest.key).code == "audit_entries_pruned"
    own = call("GET", "audit/retention", guest.key).body
    assert own["pruned"][0]["ranges"] == [[proof["leaf_index"], proof["leaf_index"] + 1]]
    assert call("GET", "audit/feed?stream=tenant", guest.key).body["items"] == []


def test_prune__again__finds_nothing(old: Aged) -> None:
    old.prune()
    assert old.prune().steps == []


def test_prune__dry_run__only_says_what_would_go(old: Aged) -> None:
    told = prune(old.tenant, dry_run=True)
    assert (told.entries, told.months) == (300, [])
    assert len(left(old.tenant)) == 300
    assert retention.Rules([]).of(old.tenant, None).days is None


def test_prune__neighbour_with_another_rule__keeps_the_same_month(old: Aged) -> None:
    neighbour = uuid4()
    kept = {one.id for one in aged(neighbour, OLD, 7)}
    old.sealer.drain()
    before = rows("SELECT id, xid, seq, leaf_hash FROM audit_event WHERE id = ANY(%s)", list(kept))
    old.prune()
    after = rows("SELECT id, xid, seq, leaf_hash FROM audit_event WHERE id = ANY(%s)", list(kept))
    assert (left(neighbour), sorted(after)) == (kept, sorted(before))
    (report,) = verify(neighbour).logs
    assert (report.valid, report.checked) == (True, 7)


def test_prune__rewritten_month__is_guarded_like_any_other(old: Aged) -> None:
    aged(uuid4(), OLD, 1)
    old.prune()
    name = partition(OLD)
    state = rows(
        "SELECT relrowsecurity, relforcerowsecurity, relispartition, "
        "(SELECT array_agg(tgname::text ORDER BY tgname) FROM pg_trigger "
        " WHERE tgrelid = c.oid AND tgenabled = 'A') FROM pg_class c WHERE oid = %s::regclass",
        name,
    )
    assert state == [(True, True, True, ["audit_refuse_change", "audit_refuse_truncate"])]
    tables = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE %s"
    assert rows(tables, "audit_event_%_kept") == []


def test_prune__personal_values_blobs_and_words__go_with_the_bytes(
    tenant_id: UUID, sealer: Sealer
) -> None:
    entries = aged(tenant_id, OLD, 2, email="ann@example.org")
    with superuser() as link:
        link.execute(
            "INSERT INTO audit_blob (event_id, tenant_id, body) VALUES (%s, %s, 'x')",
            [entries[0].id, tenant_id],
        )
    sealer.drain()
    keep(tenant_id, 90)
    wanted = [entry.id for entry in entries]
    tables = ("audit_pii", "audit_blob", "audit_search")
    count = "SELECT count(*) FROM {} WHERE event_id = ANY (%s)"
    assert [rows(count.format(one), wanted)[0][0] for one in tables] == [2, 1, 2]
    prune(tenant_id)
    assert [rows(count.format(one), wanted)[0][0] for one in tables] == [0, 0, 0]


def test_verify__deleted_without_announcement__is_missing(old: Aged) -> None:
    old.prune()
    with disarmed() as link:
        link.execute(
            "DELETE FROM audit_event WHERE tenant_id = %s AND action = 'sample.renamed'",
            [old.tenant],
        )
    report = old.report()
    assert report.counts == {Verdict.PRUNED: 300, Verdict.MISSING: 5}
    assert report.first_bad == 300


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("ranges = '{[0,305)}', upto = 305", "differs from its columns"),
        ("statement = replace(statement, '0 300', '0 299')", "has no good signature of ours"),
        ("event_id = gen_random_uuid()", "is not told by the log's entry about it"),
        ("statement = 'nothing'", "is malformed: a note needs an empty line and signature lines"),
    ],
)
def test_verify__forged_announcement__forgives_nothing(old: Aged, change: str, told: str) -> None:
    old.prune()
    with superuser() as link:
        link.execute("ALTER TABLE audit_pruning DISABLE TRIGGER USER")
        link.execute(f"UPDATE audit_pruning SET {change} WHERE tenant_id = %s", [old.tenant])
        link.execute("ALTER TABLE audit_pruning ENABLE ALWAYS TRIGGER audit_refuse_change")
        link.execute("ALTER TABLE audit_pruning ENABLE ALWAYS TRIGGER audit_refuse_truncate")
        link.execute("ALTER TABLE audit_pruning ENABLE ALWAYS TRIGGER require_audit")
    report = old.report()
    assert report.counts == {Verdict.INVALID: 1, Verdict.MISSING: 300}
    assert f"the announced pruning {told}" in {one.detail for one in report.findings}


def test_announcement__without_an_entry__does_not_commit(tenant_id: UUID) -> None:
    forged = (
        "INSERT INTO audit_pruning (tenant_id, log_id, event_id, upto, root, ranges, months, "
        "statement) VALUES (%s, %s, %s, 1, sha256(''), '{[0,1)}', '{}', '')"
    )
    with (
        pytest.raises(IntegrityError, match="needs an audit entry"),
        db.use_alias("staff"),
        db.cursor() as cursor,
    ):
        cursor.execute(forged, [tenant_id, uuid4(), uuid4()])


def test_hold__of_everything__stops_pruning_until_released(old: Aged) -> None:
    held = set_hold(old.tenant)
    assert old.prune().steps == []
    assert len(left(old.tenant)) == 300
    end_hold(held)
    assert old.prune().entries == 300
    assert left(old.tenant) == set()


def test_hold__narrowed__keeps_what_it_names_and_its_proof(tenant_id: UUID, sealer: Sealer) -> None:
    aged(tenant_id, OLD, 3, actor="usr_other")
    named = {entry.id for entry in aged(tenant_id, OLD, 2, actor="usr_named")}
    aged(tenant_id, OLD, 4, actor="usr_other")
    sealer.drain()
    keep(tenant_id, 90)
    held = set_hold(tenant_id, person="usr_named", action="sample.*")
    prune(tenant_id)
    sealer.drain()
    assert left(tenant_id) == named
    (report,) = verify(tenant_id).logs
    assert (report.valid, report.counts[Verdict.PRUNED]) == (True, 7)
    with disarmed() as link:
        link.execute("DELETE FROM audit_event WHERE id = ANY (%s)", [list(named)[:1]])
    (report,) = verify(tenant_id).logs
    assert (report.valid, report.counts[Verdict.MISSING]) == (False, 1)
    end_hold(held)
    prune(tenant_id)
    assert left(tenant_id) == set()


def test_hold__set_after_the_announcement__still_keeps_the_bytes(old: Aged) -> None:
    with superuser() as link:
        link.execute("REVOKE EXECUTE ON FUNCTION audit_drop_month(date) FROM innkeeper_staff")
        try:
            with pytest.raises(ProgrammingError, match="permission denied"):
                prune(old.tenant)
        finally:
            link.execute("GRANT EXECUTE ON FUNCTION audit_drop_month(date) TO innkeeper_staff")
    held = set_hold(old.tenant)
    (month,) = [one for one in old.prune().months if one.month == OLD.date()]
    assert (month.held >= 300, len(left(old.tenant))) == (True, 300)
    end_hold(held)
    old.prune()
    assert left(old.tenant) == set()


def test_prune__long_transaction_writes__is_postponed_then_done(old: Aged) -> None:
    with superuser() as link, superuser() as writer:
        link.execute("ALTER FUNCTION audit_drop_month(date) SET app.swap_tries = '2'")
        try:
            with writer.transaction():
                writer.execute("LOCK TABLE audit_event IN ROW EXCLUSIVE MODE")
                (month,) = [one for one in old.prune().months if one.month == OLD.date()]
        finally:
            link.execute("ALTER FUNCTION audit_drop_month(date) RESET app.swap_tries")
    assert month.postponed
    assert len(left(old.tenant)) == 300
    assert old.report().valid
    assert old.prune().steps == []
    assert left(old.tenant) == set()


def test_prune__announcements_in_the_log__outlive_the_log(tenant_id: UUID, sealer: Sealer) -> None:
    """A log that stands still needs its announcement for as long as it is its newest."""
    aged(tenant_id, OLD, 3, stream=Stream.TENANT)
    sealer.drain()
    keep(tenant_id, 30)
    prune(tenant_id)
    sealer.drain()
    with tenant_context(tenant_id):
        quiet = Head.objects.get(stream=Stream.TENANT).log_id
    later = datetime.now(UTC).replace(year=datetime.now(UTC).year + 1)
    done = prune(tenant_id, now=later, dry_run=True)
    spoken = [step for step in done.steps if step.log.stream == Stream.PLATFORM]
    place = rows(
        "SELECT leaf_index FROM audit_leaf l JOIN audit_pruned p ON p.event_id = l.event_id "
        "WHERE p.log_id = %s",
        quiet,
    )[0][0]
    assert spoken
    assert not ranges.covers(spoken[0].ranges, place)


def test_prune__two_rounds_at_once__the_second_is_refused(old: Aged) -> None:
    with superuser() as link:
        link.execute("SELECT pg_advisory_lock(%s)", [0x5EA1_1000])
        with pytest.raises(Conflict) as refused:
            prune(old.tenant)
    assert refused.value.code == "audit_pruning_runs"


def test_command__dry_run__changes_nothing_and_names_the_log(old: Aged) -> None:
    out = io.StringIO()
    call_command("audit_prune", tenant=str(old.tenant), dry_run=True, stdout=out)
    assert "300 entries would go" in out.getvalue()
    assert len(left(old.tenant)) == 300


def test_command__damaged_log__ends_with_a_fault(old: Aged) -> None:
    with disarmed() as link:
        link.execute("DELETE FROM audit_node WHERE log_id = %s", [old.log])
    with pytest.raises(CommandError, match="lack hashes"):
        call_command("audit_prune", tenant=str(old.tenant), stdout=io.StringIO())
    assert len(left(old.tenant)) == 300
