"""What a superuser does to whole tables, in a database of its own: each has its own verdict."""

import json
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any, Final

import psycopg
import pytest
from django.core.management import CommandError, call_command

from audit.sealing.sealer import Sealer
from tests.audit.samples import FORGE, SIZE, Sample, rebuild
from tests.audit.superuser import disarmed
from tests.database import SessionDatabase

Harm = Callable[[psycopg.Connection, Sample], object]


@pytest.fixture(scope="module", autouse=True)
def _elsewhere(session_database: SessionDatabase) -> Iterator[None]:
    """TRUNCATE takes the entries of all tenants: here nobody else has any."""
    with session_database.elsewhere():
        yield


@pytest.fixture
def sample(sealer: Sealer) -> Sample:
    return Sample(sealer)


def _update(link: psycopg.Connection, sample: Sample) -> None:
    link.execute(FORGE, [sample.event(42)])


def _delete(link: psycopg.Connection, sample: Sample) -> None:
    link.execute("DELETE FROM audit_event WHERE id = %s", [sample.event(200)])


def _truncate(link: psycopg.Connection, _: Sample) -> None:
    link.execute("TRUNCATE audit_event")


def _reorder(link: psycopg.Connection, sample: Sample) -> None:
    move = "UPDATE audit_leaf SET leaf_index = %s WHERE log_id = %s AND leaf_index = %s"
    for old, new in ((3, SIZE), (290, 3), (SIZE, 290)):
        link.execute(move, [new, sample.log_id, old])


def _rebuild(link: psycopg.Connection, sample: Sample) -> None:
    _update(link, sample)
    rebuild(link, sample)


HARMS: Final[dict[Harm, tuple[str, int, int]]] = {
    _update: ("invalid", 1, 42),
    _delete: ("missing", 1, 200),
    _truncate: ("emptied", SIZE, 0),
    _reorder: ("reordered", 1, 3),
    _rebuild: ("rebuilt", 2, 0),
}


def _command(*arguments: str) -> list[dict[str, Any]]:
    """Run ``manage.py audit_verify``, which has to fail, and give what it says of each log."""
    out = StringIO()
    with pytest.raises(CommandError) as raised:
        call_command("audit_verify", "--json", *arguments, stdout=out)
    assert raised.value.returncode == 1
    logs: list[dict[str, Any]] = json.loads(out.getvalue())["logs"]
    return logs


@pytest.mark.parametrize("harm", HARMS)
def test_command__superusers_harm__has_a_verdict_of_its_own_and_its_place(
    sample: Sample, harm: Harm
) -> None:
    with disarmed() as link:
        harm(link, sample)
    (found,) = _command("--tenant", str(sample.tenant))
    verdict, count, place = HARMS[harm]
    assert (found["counts"], found["first_bad"]) == ({verdict: count}, place)


def test_verdicts__of_all_harms__differ() -> None:
    assert len({verdict for verdict, _, _ in HARMS.values()}) == len(HARMS)


@pytest.mark.parametrize(
    ("table", "counts", "place"),
    [
        ("audit_leaf", {"gap": 3, "invalid": 1}, 0),
        ("audit_node", {"invalid": 1}, 0),
        ("audit_head", {"gap": 1}, 0),
    ],
)
def test_command__table_of_the_tree_truncated__names_the_log(
    sample: Sample, table: str, counts: dict[str, int], place: int
) -> None:
    with disarmed() as link:
        link.execute(f"TRUNCATE {table}")
    (found,) = [log for log in _command() if log["log"] == sample.log_id.hex]
    assert (found["counts"], found["first_bad"]) == (counts, place)
