"""Reading a log's newest note: signed once for each size, anchored before it leaves."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from audit.c2sp.checkpoint import parse_checkpoint
from audit.c2sp.note import parse
from audit.sealing import anchors
from audit.sealing.sealer import Sealer
from tests.audit.logs import changes, rows
from tests.guests import Guest, call, new_guest


@pytest.fixture
def guest(sealer: Sealer) -> Guest:
    made = new_guest()
    changes(made.id, 3)
    sealer.drain()
    return made


@pytest.fixture
def log_id(guest: Guest) -> UUID:
    found: UUID = rows("SELECT log_id FROM audit_head WHERE tenant_id = %s", guest.id)[0][0]
    return found


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect the alias of each statement that Django's cursors send."""
    seen: list[str] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.append(context["connection"].alias)
        return execute(sql, params, many, context)

    with ExitStack() as stack:
        for alias in connections:
            stack.enter_context(connections[alias].execute_wrapper(note))
        yield seen


def note_of(guest: Guest, path: str) -> str:
    answer = call("GET", path, guest.key, Accept="text/plain")
    assert answer.status == 200
    return answer.content.decode()


def test_note__log_that_has_not_grown__is_read_without_the_sealers_role(
    guest: Guest, log_id: UUID
) -> None:
    paths = ["audit/checkpoint", f"audit/tlog/{log_id.hex}/checkpoint"]
    first = {note_of(guest, path) for path in paths}
    for path in paths:
        with statements() as seen:
            assert {note_of(guest, path)} == first
        assert "default" in seen
        assert set(seen) == {"default"}


def test_note__log_that_has_grown__is_signed_anew(guest: Guest, sealer: Sealer) -> None:
    before = parse_checkpoint(parse(note_of(guest, "audit/checkpoint")).text)
    changes(guest.id, 2)
    sealer.drain()
    after = parse_checkpoint(parse(note_of(guest, "audit/checkpoint")).text)
    assert (after.origin, after.size) == (before.origin, before.size + 2)


def test_note__stored_and_not_anchored__is_anchored_before_it_leaves(
    guest: Guest, log_id: UUID
) -> None:
    # As after a crash between the commit of the note and its file.
    stored = note_of(guest, "audit/checkpoint")
    (anchors.directory() / f"{log_id.hex}.note").unlink()
    assert note_of(guest, "audit/checkpoint") == stored
    assert anchors.newest_note(log_id) == stored


def test_note__anchor_of_another_root__is_refused(guest: Guest, log_id: UUID) -> None:
    stored = note_of(guest, "audit/checkpoint")
    path = anchors.directory() / f"{log_id.hex}.note"
    state = parse_checkpoint(parse(stored).text)
    other = type(state)(state.origin, state.size, bytes(32)).text()
    path.write_text(other + "\n" + stored.partition("\n\n")[2])
    try:
        answer = call("GET", "audit/checkpoint", guest.key)
        assert (answer.status, answer.code) == (503, "audit_log_forked")
    finally:
        path.write_text(stored)


def test_note__log_of_another_tenant_or_none__is_not_found(guest: Guest, log_id: UUID) -> None:
    stranger = new_guest()
    assert call("GET", f"audit/tlog/{log_id.hex}/checkpoint", stranger.key).status == 404
    assert call("GET", "audit/tlog/none/checkpoint", guest.key).status == 404
