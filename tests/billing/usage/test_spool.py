"""The spool and its drainer: no request's detail lost or doubled, whatever is killed."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from uuid import UUID

import pytest

from billing.usage import jobs
from billing.usage.services import draining
from billing.usage.services.draining import drain
from billing.usage.spool import SUFFIX, Line, Spool, note_request
from kernel import db
from kernel.authz import PrincipalKind
from kernel.http.context import RequestContext
from kernel.ids import encode, new_id
from tests.billing.house import make_house
from tests.billing.usage.reports import as_staff
from tests.waiting import until


def line(tenant_id: UUID, place: int = 0) -> Line:
    return Line(
        tenant_id.hex,
        new_id().hex,
        1_770_000_000_000_000 + place,
        "api/v1/x",
        "GET",
        200,
        1500,
        9,
        "r",
    )


def requests_of(tenant_id: UUID) -> list[tuple]:
    with as_staff(), db.cursor() as cursor:
        cursor.execute(
            "SELECT id, subject, time, data FROM billing_usage_event"
            " WHERE tenant_id = %s AND type = 'innkeeper.request' ORDER BY time",
            [tenant_id],
        )
        return [(*row, json.loads(data)) for *row, data in cursor.fetchall()]


def test_drain__lines__become_events_once(house, tmp_path):
    spool = Spool(tmp_path)
    for place in range(3):
        spool.append(line(house.id, place))

    assert [drain(tmp_path), drain(tmp_path)] == [3, 0]
    spool.append(line(house.id, 3))
    assert drain(tmp_path) == 1

    found = requests_of(house.id)
    assert [row[2].microsecond for row in found] == [0, 1, 2, 3]
    assert found[0][1].startswith("key_")
    assert found[0][3] == {
        "route": "api/v1/x",
        "method": "GET",
        "status": 200,
        "duration_ms": 1.5,
        "bytes": 9,
        "key": found[0][1],
        "request_id": "r",
    }


def test_drain__lines_of_several_tenants__are_each_their_own_tenants(house, tmp_path):
    other = make_house("enterprise")
    spool = Spool(tmp_path)
    for owner in (house, other, house):
        spool.append(line(owner.id))
    assert drain(tmp_path) == 3

    assert [len(requests_of(owner.id)) for owner in (house, other)] == [2, 1]


def test_drain__file_of_a_living_writer__stays_and_of_a_closed_one_goes(house, tmp_path):
    spool = Spool(tmp_path)
    spool.append(line(house.id))

    drain(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1

    spool.close()
    drain(tmp_path)
    assert list(tmp_path.iterdir()) == []
    spool.append(line(house.id))
    assert drain(tmp_path) == 1


def test_drain__failure_after_the_events__takes_them_again(house, tmp_path, monkeypatch):
    spool = Spool(tmp_path)
    spool.append(line(house.id))
    real = draining.ingest_of_many

    def failing(*args, **facts):
        real(*args, **facts)
        raise RuntimeError("killed here")

    monkeypatch.setattr(draining, "ingest_of_many", failing)
    with pytest.raises(RuntimeError):
        drain(tmp_path)
    assert requests_of(house.id) == []

    monkeypatch.setattr(draining, "ingest_of_many", real)
    assert drain(tmp_path) == 1


def test_drain__file_of_several_pieces__is_taken_to_its_end(house, tmp_path, monkeypatch):
    monkeypatch.setattr(draining, "LARGEST_READ", 400)
    spool = Spool(tmp_path)
    for place in range(10):
        spool.append(line(house.id, place))
    spool.close()

    assert drain(tmp_path) == 10
    assert list(tmp_path.iterdir()) == []


def test_drain__line_that_comes_meanwhile__is_left_to_the_next(house, tmp_path, monkeypatch):
    spool = Spool(tmp_path)
    spool.append(line(house.id))
    real = draining.ingest_of_many

    def overtaken(*args, **facts):
        spool.append(line(house.id))
        return real(*args, **facts)

    monkeypatch.setattr(draining, "ingest_of_many", overtaken)
    assert [drain(tmp_path), drain(tmp_path)] == [1, 1]


def test_drain__lost_position__counts_nothing_twice(house, tmp_path):
    spool = Spool(tmp_path)
    spool.append(line(house.id))
    drain(tmp_path)
    name = next(tmp_path.iterdir()).name
    with as_staff(), db.cursor() as cursor:
        cursor.execute("DELETE FROM billing_usage_spool WHERE file = %s", [name])

    assert drain(tmp_path) == 0
    assert len(requests_of(house.id)) == 1


def test_drain__torn_and_foreign_lines__are_passed_over(house, tmp_path):
    spool = Spool(tmp_path)
    spool.append(line(house.id))
    spool.close()
    file = next(tmp_path.iterdir())
    whole = file.read_bytes()
    file.write_bytes(b"not a line\n" + whole + whole[: len(whole) // 2])

    assert drain(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


def test_drain__writer_killed__takes_every_line_it_wrote(house, tmp_path):
    program = (
        "import sys, uuid; from pathlib import Path; from billing.usage.spool import Line, Spool\n"
        "spool = Spool(Path(sys.argv[1])); n = 0\n"
        "while True:\n"
        "    spool.append(Line(sys.argv[2], sys.argv[2], n, 'r', 'GET', 200, 1, 1, str(n)))\n"
        "    n += 1; print(n, flush=True)\n"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path), house.id.hex],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    for _ in range(500):
        written = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    # What it still printed ends with half a line, or with nothing at all.
    *whole, _ = writer.stdout.read().split("\n")
    written = int(whole[-1]) if whole else written
    writer.stdout.close()
    writer.wait()

    drain(tmp_path)

    kept = [int(row[3]["request_id"]) for row in requests_of(house.id)]
    # One more may have been written than the process lived to tell.
    assert kept in (list(range(written)), list(range(written + 1)))
    assert list(tmp_path.iterdir()) == []


def test_drain__two_drainers__share_the_work_without_doubling(house, tmp_path):
    for _ in range(4):
        spool = Spool(tmp_path)
        for place in range(50):
            spool.append(line(house.id, place))
        spool.close()
    counts = []

    def work():
        counts.append(drain(tmp_path))
        db.connection().close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drain(tmp_path)

    assert len(requests_of(house.id)) == 200


def test_spool__full_file__begins_another(house, tmp_path, monkeypatch):
    monkeypatch.setattr("billing.usage.spool.LARGEST", 300)
    spool = Spool(tmp_path)
    for place in range(6):
        spool.append(line(house.id, place))

    assert len(list(tmp_path.glob(f"*{SUFFIX}"))) > 1
    assert drain(tmp_path) == 6


def test_spool__no_disk__costs_no_request(house, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")

    Spool(blocked / "below").append(line(house.id))

    assert blocked.read_text() == ""


@pytest.mark.parametrize("kind", [PrincipalKind.PLATFORM_KEY, PrincipalKind.ANONYMOUS])
def test_note_request__caller_that_is_no_tenant__leaves_nothing(house, kind, monkeypatch):
    kept = []
    monkeypatch.setattr(Spool, "append", lambda self, one: kept.append(one))
    facts = RequestContext("req_1", "GET", "/x")
    facts.tenant_id, facts.key_id, facts.principal_kind = house.id, new_id(), kind

    note_request(facts)

    assert kept == []


def test_run_spool_drain__stop__ends_it_after_the_request_is_in(house):
    key_id = new_id()
    facts = RequestContext("req_77", "GET", "/x")
    facts.tenant_id, facts.key_id = house.id, key_id
    facts.principal_kind, facts.route, facts.status = PrincipalKind.TENANT_KEY, "api/v1/y", 404
    stop = threading.Event()
    worker = threading.Thread(target=jobs.run_spool_drain, args=(stop,))

    note_request(facts)
    worker.start()
    until("the request is an event", lambda: requests_of(house.id))
    stop.set()
    worker.join(timeout=5)

    assert not worker.is_alive()
    ((_, subject, _, data),) = requests_of(house.id)
    assert subject == encode("key", key_id)
    assert (data["route"], data["status"], data["request_id"]) == ("api/v1/y", 404, "req_77")


def test_append__no_file_can_be_opened__gives_the_old_one_up_only_once(tmp_path, monkeypatch):
    """A second close would take away whatever has its number by then."""
    monkeypatch.setattr("billing.usage.spool.LARGEST", 0)
    folder = tmp_path / "spool"
    spool = Spool(folder)
    spool.append(line(new_id()))
    shutil.rmtree(folder)
    folder.write_text("in the way")

    spool.append(line(new_id()))
    with (tmp_path / "other").open("w") as other:
        spool.append(line(new_id()))
        assert other.write("still open") > 0
