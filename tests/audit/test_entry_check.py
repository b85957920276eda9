"""One entry against its bytes: the quick look finds what the thorough one names."""

from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson
import pytest

from audit.encoding.commitment import Opening, commitment
from audit.encoding.plain import timestamp
from audit.registry import Action, Severity
from audit.services import Context, Target
from audit.services.entry import Draft, build
from audit.verification.entry import check
from audit.verification.erasures import Erasures
from audit.verification.findings import LogReport, Verdict
from audit.verification.openings import Openings
from audit.verification.storage import SEPARATOR

ACTION = Action("sample.renamed", Severity.INFO, "", ["email", "with.dots"])
TENANT = UUID(int=3)


def stored(**facts: Any) -> dict[str, Any]:
    """An entry as the log's tables hold it, with six openings of two people."""
    draft = Draft(
        action=ACTION,
        tenant_id=TENANT,
        targets=[Target("sample", "smp_1")],
        before={"email": "a@example.org"},
        after={"email": "b@example.org", "with.dots": "x", "plain": facts.pop("plain", "x")},
        metadata=facts.pop("metadata", {"email": "c@example.org"}),
        subject_id="usr_9",
    )
    made = build(
        draft, Context("staff", "usr_1", "", "req_1", "192.0.2.7", "curl/8"), origin="example.org"
    )
    columns = (
        str(made.tenant_id), str(made.stream), timestamp(made.occurred_at), made.action,
        made.actor_type, made.actor_id, made.on_behalf_of, made.target_type, made.target_id,
        made.outcome, made.request_id,
    )  # fmt: skip
    return {
        "event": str(made.id),
        "leaf": made.leaf,
        "columns": SEPARATOR.join(columns),
        "openings": [dict(one) for one in made.openings.values()],
    }


class NoErasures(Erasures):
    """A tenant that never erased anybody."""

    def __init__(self) -> None:
        self.uncounted = 0
        self._taken = {}


def checked(entry: dict[str, Any]) -> LogReport:
    report = LogReport(UUID(int=1), f"example.org/{UUID(int=1).hex}", TENANT, 1)
    openings = orjson.dumps(entry["openings"]).decode() if entry["openings"] else None
    sealed = sha256(b"\x00" + entry["leaf"]).digest()
    row = (0, sealed, entry["event"], entry["leaf"], True, entry["columns"], openings, None)
    openings = Openings(NoErasures())
    check(report, 0, row, openings)
    openings.tell(report)
    return report


def of_actor(entry: dict[str, Any]) -> dict[str, list[str]]:
    return next(one for one in entry["openings"] if "context.ip" in one)


@pytest.mark.parametrize(
    "facts", [{}, {"metadata": {"a": ['"c:', "c:"]}}, {"plain": "c:onsider"}, {"plain": '"c:'}]
)
def test_check__all_openings_there__finds_nothing(facts: dict[str, Any]) -> None:
    report = checked(stored(**facts))
    assert (report.findings, report.counts) == ([], {})


def test_check__some_torn_out__counts_and_names_them() -> None:
    entry = stored()
    entry["openings"].remove(of_actor(entry))
    report = checked(entry)
    assert [one.detail.split()[3] for one in report.findings] == [
        "context.ip",
        "context.user_agent",
    ]
    assert report.counts == {Verdict.UNOPENED: 2}
    entry["openings"].clear()
    assert checked(entry).counts == {Verdict.UNOPENED: 6}


@pytest.mark.parametrize("part", [0, 1])
def test_check__salt_or_value_changed__names_the_path(part: int) -> None:
    entry = stored()
    of_actor(entry)["context.ip"][part] = "00" * 16
    report = checked(entry)
    assert report.counts == {Verdict.INVALID: 1}
    assert "the value of context.ip is not" in report.findings[0].detail


@pytest.mark.parametrize(
    "path", ["changes.email", "other.ip", "context.ip.x", "context.metadata", "changes.after.plain"]
)
def test_check__opening_moved_to_another_path__is_invalid_and_the_field_unopened(path: str) -> None:
    entry = stored()
    openings = of_actor(entry)
    openings[path] = openings.pop("context.ip")
    report = checked(entry)
    assert report.counts == {Verdict.INVALID: 1, Verdict.UNOPENED: 1}
    assert f"an opening of {path}, to which nothing" in report.findings[0].detail


@pytest.mark.parametrize("path", ["changes.ip", "other.ip", "ip"])
def test_check__forged_leaf_that_commits_for_another_path__is_invalid(path: str) -> None:
    """Only a rebuilt tree holds such bytes: the commitment is right for a path that is no place."""
    opening = Opening(bytes(16), "192.0.2.8")
    entry = stored()
    document = orjson.loads(entry["leaf"])
    document["context"]["ip"] = commitment(path, opening)
    entry["leaf"] = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    openings = of_actor(entry)
    del openings["context.ip"]
    openings[path] = [opening.salt.hex(), opening.value]
    assert checked(entry).counts == {Verdict.INVALID: 1, Verdict.UNOPENED: 1}


@pytest.mark.parametrize("path", ["other.ip", "ip"])
def test_check__forged_leaf_with_a_nameless_group__is_invalid(path: str) -> None:
    opening = Opening(bytes(16), "192.0.2.8")
    entry = stored()
    document = orjson.loads(entry["leaf"])
    document["context"] |= {"ip": "", "": {path: commitment(path, opening)}}
    entry["leaf"] = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    openings = of_actor(entry)
    del openings["context.ip"]
    openings[path] = [opening.salt.hex(), opening.value]
    assert checked(entry).counts == {Verdict.INVALID: 1}


@pytest.mark.parametrize("leaf", [b'{"v":1}', b"[]", b"no JSON", b"{}"])
def test_check__bytes_that_are_no_entry__are_named(leaf: bytes) -> None:
    report = checked(stored() | {"leaf": leaf})
    assert (report.first_bad, report.counts) == (0, {Verdict.INVALID: 1})
    assert "its bytes are no entry" in report.findings[0].detail


def test_check__bytes_that_are_no_utf8__are_named() -> None:
    entry = stored()
    entry["leaf"] = entry["leaf"].replace(b"usr_1", b"usr_\xff")
    report = checked(entry)
    assert (report.first_bad, report.counts) == (0, {Verdict.INVALID: 1})


def test_check__leaf_without_request_id__differs_from_the_column() -> None:
    entry = stored()
    document = orjson.loads(entry["leaf"])
    document["context"]["request_id"] = 1
    entry["leaf"] = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    assert "column request_id differs" in checked(entry).findings[0].detail
