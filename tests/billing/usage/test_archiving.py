"""Months that leave the ledger: written out, read back, dropped; late events are told."""

import gzip
import hashlib
import json
import random
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
import requests
from django.core.management import call_command

from billing.usage.cloudevents import decode
from billing.usage.queries import archives, retention
from billing.usage.queries.retention import Step
from billing.usage.queries.verification import differences
from billing.usage.services import archive_files, archiving
from billing.usage.services.archiving import Archived, ArchiveError
from billing.usage.services.ingest import ingest
from billing.usage.services.recounting import recount
from kernel import db
from kernel.errors import Invalid
from kernel.gate.wire import HotConnection
from tests.billing.house import call, make_house
from tests.billing.usage.reports import as_staff, define, event, report, send, total, word

MONTHS = [date(year, month, 1) for year in range(1940, 1969) for month in range(1, 13)]
random.shuffle(MONTHS)


@pytest.fixture
def month() -> date:
    """A month long ago that no other test uses, as a partition."""
    chosen = MONTHS.pop()
    owner("SELECT billing_usage_make_month(%s)", chosen)
    return chosen


@pytest.fixture(autouse=True)
def home(tmp_path, settings):
    settings.INNKEEPER_HOME = tmp_path


def owner(statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def within(month: date, minutes: int = 0) -> datetime:
    return datetime(month.year, month.month, 2, 8, tzinfo=UTC) + timedelta(minutes=minutes)


def step(month: date, *tenants: Any, whole: bool = False) -> Step:
    return Step(month, f"billing_usage_event_{month:%Y%m}", tenants, whole)


def kept_in(file: Archived) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(file.file.read_bytes()).splitlines()]


def in_ledger(tenant_id) -> int:
    return owner("SELECT count(*) FROM billing_usage_event WHERE tenant_id = %s", tenant_id)[0][0]


def keys_of(tenant_id) -> int:
    return owner("SELECT count(*) FROM billing_usage_seen WHERE scope = %s", tenant_id)[0][0]


def test_archive__one_tenants_month__is_in_the_file_and_out_of_the_ledger(house, month):
    other = make_house("enterprise")
    meter = define(house.id)
    sent = [event(meter.slug, value, at=within(month, value)) for value in (1, 2, "2.50")[:2]]
    report(house.id, *sent)
    report(other.id, event(meter.slug, at=within(month)))
    later = event(meter.slug, 5)
    report(house.id, later)

    [file] = archiving.archive(step(month, house.id))

    lines = kept_in(file)
    assert [line["id"] for line in lines] == [one["id"] for one in sent]
    assert lines[0]["data"] == {"value": 1}
    assert (file.events, file.bytes) == (2, file.file.stat().st_size)
    assert (in_ledger(house.id), in_ledger(other.id)) == (1, 1)
    assert keys_of(house.id) == 1
    assert total(house.id, meter) == 8


def test_archive__manifest_and_record__name_file_events_and_checksum(house, month):
    report(house.id, event(word(), at=within(month)))

    [file] = archiving.archive(step(month, house.id))

    manifest = json.loads((file.file.parent / "manifest.json").read_text())
    digest = hashlib.sha256(file.file.read_bytes()).hexdigest()
    [named] = manifest["files"]
    assert (named["sha256"], named["events"], named["tenant_id"]) == (digest, 1, str(house.id))
    recorded = owner(
        "SELECT sha256, events, removed_at IS NOT NULL FROM billing_usage_archive"
        " WHERE tenant_id = %s",
        house.id,
    )
    assert recorded == [(digest, 1, True)]


def test_archive__amended_event__takes_its_amendments_along(house, month):
    meter = define(house.id)
    sent = event(meter.slug, 5, at=within(month))
    report(house.id, sent)
    void = {"source": sent["source"], "id": sent["id"], "reason": "sent twice"}
    call(house.key, "POST", "v1/events/void", void, status=204)

    [file] = archiving.archive(step(month, house.id))

    [line] = kept_in(file)
    assert [one["reason"] for one in line["amendments"]] == ["sent twice"]


def test_archive__whole_month__drops_the_partition(house, month):
    other = make_house("enterprise")
    for one in (house, other):
        report(one.id, event(word(), at=within(month)))
    stray = HotConnection("staff")
    lost = word()
    send_unattributed(stray, event(word(), at=within(month), subject=lost))

    files = archiving.archive(step(month, house.id, other.id, None, whole=True))

    assert [file.events for file in files] == [1, 1, 1]
    assert owner("SELECT to_regclass(%s)", f"billing_usage_event_{month:%Y%m}") == [(None,)]
    assert (in_ledger(house.id), keys_of(house.id)) == (0, 0)
    with pytest.raises(Invalid) as refused:
        report(make_house("enterprise").id, event(word(), at=within(month)))
    assert [fault.code for fault in refused.value.errors] == ["archived"]


def send_unattributed(connection: HotConnection, sent: dict[str, Any]) -> None:
    read = decode(json.dumps(sent).encode(), "application/json")
    assert ingest(read, tenant_id=None, by_operator=True, connection=connection) == 1
    connection.close()


@pytest.mark.parametrize("many", [False, True])
def test_ingest__event_of_an_archived_month__is_refused_by_name_and_never_doubled(
    house, month, many
):
    meter = define(house.id)
    sent = event(meter.slug, 5, at=within(month))
    report(house.id, sent)
    archiving.archive(step(month, house.id))
    batch = [event(meter.slug, 1), sent] if many else [sent]

    with pytest.raises(Invalid) as refused:
        report(house.id, *batch)

    assert [fault.pointer for fault in refused.value.errors] == [f"/{len(batch) - 1}"]
    assert total(house.id, meter) == 5


def test_ingest__operators_event_of_an_archived_month__is_refused(house, month):
    report(house.id, event(word(), at=within(month)))
    archiving.archive(step(month, house.id))
    connection = HotConnection("staff")

    with pytest.raises(Invalid):
        send(connection, house.id, [event(word(), at=within(month))])

    connection.close()


def test_ingest__other_tenant_of_the_same_month__is_taken(house, month):
    other = make_house("enterprise")
    report(house.id, event(word(), at=within(month)))
    archiving.archive(step(month, house.id))

    assert report(other.id, event(word(), at=within(month))) == 1


def test_lines__one_of_an_archived_month__is_told_and_the_others_taken(house, month, address):
    report(house.id, event(word(), at=within(month)))
    archiving.archive(step(month, house.id))
    lines = [event(word()), event(word(), at=within(month)), event(word())]

    answer = requests.post(
        f"{address}/api/v1/events",
        data="\n".join(json.dumps(line) for line in lines),
        headers={
            "Authorization": f"Bearer {house.key}",
            "Content-Type": "application/x-ndjson",
        },
        timeout=20,
    )

    told = [json.loads(line) for line in answer.text.splitlines()]
    assert [one["outcome"] for one in told] == ["new", "invalid", "new"]
    assert told[1]["errors"][0]["code"] == "archived"


def test_verify__archived_months__are_not_compared(house, month):
    meter = define(house.id)
    report(house.id, event(meter.slug, 5, at=within(month)))
    archiving.archive(step(month, house.id))

    with as_staff():
        found = [one for one in differences() if one.meter == meter.slug]

    assert found == []


def test_recount__archived_month__keeps_its_rollups(house, month):
    meter = define(house.id)
    report(house.id, event(meter.slug, 5, at=within(month)))
    archiving.archive(step(month, house.id))

    with as_staff():
        meter.ready = False
        meter.save()
        assert recount(meter)
        meter.refresh_from_db()

    assert total(house.id, meter, start=within(month, -480), end=within(month, 480)) == 5


def test_update__other_groups_over_archived_events__is_refused(house, month):
    meter = define(house.id)
    report(house.id, event(meter.slug, 5, at=within(month)))
    change = {"groupBy": {"who": "$.who"}}
    archiving.archive(step(month, house.id))

    problem = call(house.key, "PUT", f"v1/meters/{meter.slug}", change, status=409)

    assert problem["errors"][0]["pointer"] == "/groupBy"
    call(house.key, "PUT", f"v1/meters/{meter.slug}", {"name": "Calls"})


def test_archive__events_that_came_in_between__removes_nothing(house, month, monkeypatch):
    report(house.id, event(word(), at=within(month)))
    read_back = archive_files.read_back

    def and_one_more(path):
        owner(
            "INSERT INTO billing_usage_event (tenant_id, time, seq, scope, source, id, type,"
            " subject, ingested_at) SELECT tenant_id, time, nextval('billing_usage_seq'), scope,"
            " source, 'other', type, subject, now() FROM billing_usage_event WHERE tenant_id = %s",
            house.id,
        )
        return read_back(path)

    monkeypatch.setattr(archive_files, "read_back", and_one_more)
    monkeypatch.setattr(archiving, "_close", lambda step, tenant: None)

    with pytest.raises(ArchiveError):
        archiving.archive(step(month, house.id))

    assert in_ledger(house.id) == 2


def test_archive__file_damaged_on_the_way__removes_nothing(house, month, monkeypatch):
    report(house.id, event(word(), at=within(month)))
    monkeypatch.setattr(archive_files, "read_back", lambda path: (1, "another"))

    with pytest.raises(ArchiveError):
        archiving.archive(step(month, house.id))

    assert in_ledger(house.id) == 1


def test_archive__begun_again_after_a_crash__writes_the_month_once(house, month, monkeypatch):
    report(house.id, event(word(), at=within(month)))
    whole = step(month, house.id, whole=True)
    drop = archiving._drop

    def crash(step: Step) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(archiving, "_drop", crash)
    with pytest.raises(RuntimeError):
        archiving.archive(whole)
    monkeypatch.setattr(archiving, "_drop", drop)

    [file] = archiving.archive(whole)

    assert [path.name for path in file.file.parent.glob("*.gz")] == [file.file.name]
    assert in_ledger(house.id) == 0


def test_due__plans_keep_for_different_times__names_whose_time_is_over(month):
    basic, professional = make_house("basic"), make_house("professional")
    for one in (basic, professional):
        report(one.id, event(word(), at=within(month)))

    def ask(months_later: int) -> list[tuple[set, bool]]:
        first = date(month.year + months_later // 12, month.month, 1)
        for _ in range(months_later % 12):
            first = (first + timedelta(days=32)).replace(day=1)
        return [(set(one.tenants), one.whole) for one in retention.due(first, [month])]

    assert ask(3) == []
    assert ask(4) == [({basic.id}, False)]
    assert ask(14) == [({basic.id, professional.id}, False)]
    assert ask(26) == [({basic.id, professional.id}, True)]


def test_command__dry_run__says_what_is_due_and_leaves_it(house, month):
    report(house.id, event(word(), at=within(month)))
    said = StringIO()

    call_command("archive_usage", "--dry-run", "--month", f"{month:%Y-%m}", stdout=said)

    assert said.getvalue().startswith(f"1 of 1: {month:%Y-%m}: 1 tenants, all of it")
    assert in_ledger(house.id) == 1


def test_command__month_that_is_due__is_archived_and_verified(house, month):
    report(house.id, event(word(), at=within(month)))
    said = StringIO()

    call_command("archive_usage", "--month", f"{month:%Y-%m}", stdout=said)

    assert f"billing_usage_event_{month:%Y%m}: dropped" in said.getvalue()
    assert in_ledger(house.id) == 0


def test_archives__file_changed_later__is_named(house, month):
    report(house.id, event(word(), at=within(month)))
    [file] = archiving.archive(step(month, house.id))
    name = str(file.file.relative_to(archive_files.directory()))

    def faults() -> dict[str, str]:
        with as_staff():
            found = archives.check(archive_files.directory(), archive_files.checksum)
            return {one.file: one.fault for one in found if one.file == name}

    assert faults() == {name: ""}
    file.file.write_bytes(file.file.read_bytes() + b"x")
    assert faults() == {name: "its checksum is another"}
    file.file.unlink()
    assert faults() == {name: "No such file or directory"}


def test_sort_strays__events_beside_every_month__can_be_archived(house):
    month = MONTHS.pop()
    meter = define(house.id)
    report(house.id, event(meter.slug, 5, at=within(month)))

    archiving.sort_strays([month])
    [file] = archiving.archive(step(month, house.id))

    assert file.events == 1
    assert total(house.id, meter) == 5
