"""Following a tenant's events: forward, none skipped, however late a transaction commits.

A place in the feed is a snapshot of PostgreSQL's: the transactions whose events were given out. The
next page holds what is committed now and was not in that snapshot, so a writer that stays open
delays its own events and nobody else's. A round of pages reads one snapshot to its end, in the
order of transactions and within these of sequence; then the next begins. Why: docs/adr/0129.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import msgspec

from billing.usage.queries.events import EXPLAINED, Listed
from kernel import db
from kernel.errors import Gone, Invalid

# A snapshot is given out only when what it counts as over is on disk: after a crash PostgreSQL
# gives the numbers of lost transactions away once more, and a place must not have passed them.
_NOW: Final = """
SELECT pg_current_snapshot()::text, pg_snapshot_xmax(pg_current_snapshot())::text,
       (SELECT system_identifier FROM pg_control_system())::text
         || '.' || (SELECT timeline_id FROM pg_control_checkpoint()),
       CASE WHEN $1::boolean AND pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn()
         THEN pg_logical_emit_message(false, 'innkeeper.feed', ''::text, true) END
"""
_PAGE: Final = f"""
WITH page AS MATERIALIZED (
  SELECT * FROM billing_usage_feed($1, $2::pg_snapshot, $3::pg_snapshot, $4::xid8, $5, $6)
)
SELECT listed.*, page.xid::text
FROM ({EXPLAINED.format("page")}) AS listed JOIN page ON page.seq = listed.seq
ORDER BY page.xid, page.seq
"""  # noqa: S608 - put together from a constant; values are parameters
_NOTHING: Final = "1:1:"
"""The snapshot before the first transaction."""
_SNAPSHOT: Final = re.compile(r"[0-9]{1,19}:[0-9]{1,19}:(?:[0-9]{1,19}(?:,[0-9]{1,19})*)?")
_MOST: Final = 2**63 - 1


class Place(msgspec.Struct, frozen=True, array_like=True):
    """How far a reader is: all of ``before``, and of ``within`` up to (``xid``, ``seq``).

    ``within`` is empty between two rounds. ``cluster`` is where these numbers mean something.
    """

    cluster: str
    before: str
    within: str
    xid: int
    seq: int


_START: Final = Place("", _NOTHING, "", 0, 0)


@dataclass(frozen=True, slots=True)
class Page:
    """Events in the order of the feed, and the place behind them."""

    events: list[Listed]
    next: str


def follow(tenant_id: UUID, after: str | None, limit: int) -> Page:
    """Give the events behind a place; from the oldest kept one if there is none.

    Raises:
        kernel.errors.Invalid: the place is none that a page gave.
        kernel.errors.Gone: it was given by another database than this one is now.
    """
    place = _read(after) if after else _START
    place = _entered(place)
    found = db.rows(_PAGE, [tenant_id, place.before, place.within, place.xid, place.seq, limit + 1])
    events = [Listed(*row[:-1]) for row in found[:limit]]
    if len(found) <= limit:
        return Page(events, _written(_ended(place)))
    return Page(events, _written(_behind(place, int(found[limit - 1][-1]), events[-1].seq)))


def newest() -> str:
    """Give the place behind everything that is committed now."""
    return _written(_ended(_entered(_START)))


def _ended(place: Place) -> Place:
    return Place(place.cluster, place.within, "", 0, 0)


def _behind(place: Place, xid: int, seq: int) -> Place:
    return Place(place.cluster, place.before, place.within, xid, seq)


def _entered(place: Place) -> Place:
    """Begin a round if none is under way.

    Raises:
        kernel.errors.Gone: the place belongs to another database, or to a future that was undone.
    """
    [(now, end, cluster, _)] = db.rows(_NOW, [not place.within])
    known = max(int(text.split(":")[1]) for text in (place.before, place.within or _NOTHING))
    if place is not _START and (place.cluster != cluster or known > int(end)):
        raise Gone(
            "The place belongs to a database that this one was restored from or replaced."
            " Begin anew; repeats are told by source and id.",
            code="feed_moved",
        )
    return Place(cluster, place.before, place.within or now, place.xid, place.seq)


def _written(place: Place) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).rstrip(b"=").decode()


def _read(text: str) -> Place:
    """Read a place.

    Raises:
        kernel.errors.Invalid: it is none of ours.
    """
    try:
        place = msgspec.json.decode(
            base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True), type=Place
        )
    except (binascii.Error, ValueError, msgspec.DecodeError):
        place = None
    if place is None or not _sound(place):
        message = "The place is not one that a page of this feed gave."
        raise Invalid(message, pointer="/query/after")
    return place


def _sound(place: Place) -> bool:
    return (
        _is_snapshot(place.before)
        and (place.within == "" or _is_snapshot(place.within))
        and 0 <= place.xid <= _MOST
        and 0 <= place.seq <= _MOST
    )


def _is_snapshot(text: str) -> bool:
    """Tell whether PostgreSQL reads the text as a snapshot."""
    if not _SNAPSHOT.fullmatch(text):
        return False
    low, high, running = text.split(":")
    numbers = [int(one) for one in running.split(",") if one]
    return (
        1 <= int(low) <= int(high) <= _MOST
        and numbers == sorted(set(numbers))
        and all(int(low) <= one < int(high) for one in numbers)
    )
