"""Figures of many meters at once, cut at some instants, and of their foremost subjects.

From digests and roll-ups, the sets of distinct values and the gate's record alone: one statement
for each of them, whatever the number of meters, and none for a record that no meter needs. No event
is read.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal
from typing import Any, Final
from uuid import UUID

from billing.usage.exact import EXACT, added
from billing.usage.models import Aggregation, Meter, Origin
from billing.usage.models.meters import OF_SINGLE_EVENTS
from billing.usage.queries import digests
from billing.usage.queries.civil import Span
from billing.usage.queries.sources import BUCKET
from kernel import db, ids

# One pass gives the parts of each subject in each slot between two edges, only those that the
# aggregation needs; the latest number is the greatest array. From these come the parts of each
# slot, those of each subject from one instant on with the rank of their figure, and where the
# meter's roll-ups begin.
_KEPT: Final = """
WITH whole AS MATERIALIZED (
  SELECT meter.id, meter.aggregation, cutting.cuts, billing_usage_digested_days(
    meter.id, $1::uuid, ($4::timestamptz[])[1], NULL, true, false, cutting.uncut) AS days
  FROM unnest($2::uuid[], $3::text[]) AS meter (id, aggregation)
  CROSS JOIN LATERAL (SELECT
    CASE WHEN meter.aggregation IN ('COUNT', 'SUM', 'AVG') THEN $4::timestamptz[] END AS cuts,
    CASE WHEN meter.aggregation IN ('COUNT', 'SUM', 'AVG') THEN '{}'
      ELSE $4::timestamptz[] END AS uncut
  ) AS cutting
), part AS (
  SELECT whole.id, whole.aggregation, r.subject, piece.at, PIECES,
         r.lowest, r.highest, r.latest_at, r.latest_seq, r.latest
  FROM whole
  CROSS JOIN LATERAL billing_usage_pieces(
    whole.days, '-infinity', 'infinity', coalesce(whole.cuts, '{}')) AS piece
  JOIN billing_usage_digest AS r ON r.tenant_id = $1::uuid AND r.meter_id = whole.id
   AND r.day = piece.day AND r.day >= (($4::timestamptz[])[1] AT TIME ZONE 'UTC')::date
  WHERE SOME_IN_PIECE
  UNION ALL
  SELECT whole.id, whole.aggregation, r.subject, r.bucket, r.count, r.total,
         r.lowest, r.highest, r.latest_at, r.latest_seq, r.latest
  FROM whole
  CROSS JOIN LATERAL billing_usage_gaps(whole.days, ($4::timestamptz[])[1], NULL) AS gap
  JOIN billing_usage_rollup AS r ON r.tenant_id = $1::uuid AND r.meter_id = whole.id
   AND r.bucket >= gap.low AND r.bucket < gap.high
), held AS MATERIALIZED (
  SELECT id, aggregation, subject, width_bucket(at, $4::timestamptz[]) AS place,
    sum(count) AS count, sum(total) FILTER (WHERE aggregation IN ('SUM', 'AVG')) AS total,
    min(lowest) FILTER (WHERE aggregation = 'MIN') AS lowest,
    max(highest) FILTER (WHERE aggregation = 'MAX') AS highest,
    max(ARRAY[extract(epoch FROM latest_at), latest_seq, latest])
      FILTER (WHERE aggregation = 'LATEST') AS latest
  FROM part GROUP BY 1, 2, 3, 4
)
SELECT id, place, NULL AS subject, sum(count), sum(total), min(lowest), max(highest),
       (max(latest))[3], NULL::timestamptz AS first
FROM held GROUP BY 1, 2
UNION ALL
SELECT id, NULL, subject, count, total, lowest, highest, latest, NULL FROM (
  SELECT *, row_number() OVER (PARTITION BY id ORDER BY
    CASE aggregation WHEN 'COUNT' THEN count WHEN 'SUM' THEN total WHEN 'AVG' THEN total / count
      WHEN 'MIN' THEN lowest WHEN 'MAX' THEN highest ELSE latest END DESC, subject) AS rank
  FROM (SELECT id, aggregation, subject, sum(count) AS count, sum(total) AS total,
               min(lowest) AS lowest, max(highest) AS highest, (max(latest))[3] AS latest
        FROM held WHERE place >= width_bucket($5::timestamptz, $4::timestamptz[])
        GROUP BY 1, 2, 3) AS figure
) AS ranked WHERE rank <= $6
UNION ALL
SELECT meter.id, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
       (SELECT min(r.bucket) FROM billing_usage_rollup AS r
         WHERE r.tenant_id = $1::uuid AND r.meter_id = meter.id)
  FROM unnest($2::uuid[]) AS meter (id)
ORDER BY 1, 2
""".replace("SOME_IN_PIECE", digests.SOME_IN_PIECE).replace("PIECES", digests.PIECES)
# Distinct values do not add up: each span counts its own. A value is told by the slots in which it
# was seen, a bit for each; a calendar has fewer than 128.
_DISTINCT: Final = """
WITH span AS (
  SELECT place, bit_or('1'::bit(128) >> slot) AS slots
  FROM unnest($3::timestamptz[], $4::timestamptz[]) WITH ORDINALITY AS span (start, until, place),
    generate_series(width_bucket(start, $6::timestamptz[]),
                    width_bucket(until, $6::timestamptz[]) - 1) AS slot
  GROUP BY 1
), held AS MATERIALIZED (
  SELECT meter_id, subject, value_hash,
         bit_or('1'::bit(128) >> width_bucket(bucket, $6::timestamptz[])) AS slots
  FROM billing_usage_value
  WHERE tenant_id = $1::uuid AND meter_id = ANY ($2::uuid[]) AND bucket >= ($6::timestamptz[])[1]
  GROUP BY 1, 2, 3
), seen AS MATERIALIZED (
  SELECT meter_id, value_hash, bit_or(slots) AS slots FROM held GROUP BY 1, 2
)
SELECT meter_id, place, NULL AS subject, count(*)
FROM seen JOIN span ON seen.slots & span.slots <> repeat('0', 128)::bit(128) GROUP BY 1, 2
UNION ALL
SELECT meter_id, NULL, subject, many FROM (
  SELECT meter_id, subject, count(*) AS many, row_number() OVER (
    PARTITION BY meter_id ORDER BY count(*) DESC, subject) AS rank
  FROM held JOIN span ON place = 1 AND held.slots & span.slots <> repeat('0', 128)::bit(128)
  GROUP BY 1, 2
) AS ranked WHERE rank <= $5
ORDER BY 1, 2, 4 DESC, 3
"""
_REQUESTS: Final = """
WITH asked AS MATERIALIZED (
  SELECT subject, to_timestamp(bucket_id * 900) AS at, used FROM gate.requests($2, $3)
)
SELECT width_bucket(at, $4::timestamptz[]) AS place, NULL::uuid AS subject, sum(used)
  FROM asked WHERE subject = $1::uuid GROUP BY 1
UNION ALL
(SELECT NULL, subject, sum(used) FROM asked WHERE subject <> $1::uuid AND at >= $5::timestamptz
  GROUP BY 2 ORDER BY 3 DESC, 2 LIMIT $6)
"""
KEY_PREFIX: Final = "key"
_AVERAGE_DIGITS: Final = 20


@dataclass(frozen=True, slots=True)
class Part:
    """What roll-ups hold of some time; the fields are theirs, None where nothing was counted."""

    count: Decimal | None
    total: Decimal | None = None
    lowest: Decimal | None = None
    highest: Decimal | None = None
    latest: Decimal | None = None


@dataclass(slots=True)
class Held:
    """What is kept of a meter: parts by slot, in order; its foremost subjects, the first first.

    ``spans`` holds figures of whole spans instead, where parts do not add up. ``first`` is where
    its record begins; None where it has none.
    """

    aggregation: Aggregation
    slots: dict[int, Part] = field(default_factory=dict)
    spans: dict[Span, Decimal] = field(default_factory=dict)
    subjects: list[tuple[str, Decimal]] = field(default_factory=list)
    first: datetime | None = None

    def figure(self, span: Span, edges: Sequence[datetime]) -> Decimal | None:
        """Give the meter's figure between two of the edges; None where it has none."""
        if self.aggregation == Aggregation.UNIQUE_COUNT:
            return self.spans.get(span, Decimal(0))
        first, past = (edges.index(bound) + 1 for bound in span)
        return joined(
            self.aggregation, [part for place, part in self.slots.items() if first <= place < past]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuts:
    """Where figures are cut: ``edges`` in order; ``spans``, the first of them the one whose
    subjects are ranked; ``top``, how many of these.
    """

    edges: Sequence[datetime]
    spans: Sequence[Span]
    top: int


def is_told(meter: Meter) -> bool:
    """Tell whether roll-ups alone give the meter's figures now."""
    return meter.ready and meter.aggregation not in OF_SINGLE_EVENTS


def read(tenant_id: UUID, meters: Sequence[Meter], cuts: Cuts) -> dict[UUID, Held]:
    """Give what is kept of those of the meters that roll-ups tell of, by id."""
    held = {meter.id: Held(Aggregation(meter.aggregation)) for meter in meters if is_told(meter)}
    kept = [meter for meter in meters if meter.id in held]
    gate = [meter for meter in kept if meter.origin == Origin.GATE]
    sets = [meter for meter in kept if meter.aggregation == Aggregation.UNIQUE_COUNT]
    summed = [meter for meter in kept if meter not in gate and meter not in sets]
    if summed:
        _read_kept(tenant_id, summed, cuts, held)
    if sets:
        _read_distinct(tenant_id, sets, cuts, held)
    if gate:
        _read_requests(tenant_id, gate, cuts, held)
    return held


def joined(aggregation: Aggregation, parts: Sequence[Part]) -> Decimal | None:
    """Make one figure of parts in their order; nothing counted is 0 for sums and counts."""
    if aggregation == Aggregation.COUNT:
        return added(part.count for part in parts)
    if aggregation == Aggregation.SUM:
        return added(part.total for part in parts)
    if not parts:
        return None
    if aggregation == Aggregation.AVG:
        total, many = added(part.total for part in parts), added(part.count for part in parts)
        digits = max(len(total.as_tuple().digits), 1) + _AVERAGE_DIGITS
        return Context(prec=digits).divide(total, many).normalize(EXACT)
    if aggregation == Aggregation.LATEST:
        return parts[-1].latest
    if aggregation == Aggregation.MIN:
        return min((part.lowest for part in parts if part.lowest is not None), default=None)
    return max((part.highest for part in parts if part.highest is not None), default=None)


def _read_kept(
    tenant_id: UUID, meters: Sequence[Meter], cuts: Cuts, held: dict[UUID, Held]
) -> None:
    names = [meter.id for meter in meters], [str(meter.aggregation) for meter in meters]
    edges, start = list(cuts.edges), cuts.spans[0][0]
    ranked: dict[UUID, list[tuple[str, Decimal]]] = defaultdict(list)
    for id_, place, subject, *figures, first in db.rows(
        _KEPT, [tenant_id, *names, edges, start, cuts.top]
    ):
        one = held[id_]
        if place is not None:
            one.slots[place] = Part(*figures)
        elif subject is not None:
            ranked[id_].append((subject, joined(one.aggregation, [Part(*figures)]) or Decimal(0)))
        else:
            one.first = first
    for id_, subjects in ranked.items():
        held[id_].subjects = sorted(subjects, key=lambda pair: (-pair[1], pair[0]))


def _read_distinct(
    tenant_id: UUID, meters: Sequence[Meter], cuts: Cuts, held: dict[UUID, Held]
) -> None:
    starts, ends = ([span[bound] for span in cuts.spans] for bound in (0, 1))
    named = [meter.id for meter in meters]
    values: list[Any] = [tenant_id, named, starts, ends, cuts.top, list(cuts.edges)]
    for id_, place, subject, many in db.rows(_DISTINCT, values):
        if subject is None:
            held[id_].spans[cuts.spans[place - 1]] = Decimal(many)
        else:
            held[id_].subjects.append((subject, Decimal(many)))


def _read_requests(
    tenant_id: UUID, meters: Sequence[Meter], cuts: Cuts, held: dict[UUID, Held]
) -> None:
    seconds = round(BUCKET.total_seconds())
    first, last = (round(edge.timestamp()) // seconds for edge in (cuts.edges[0], cuts.edges[-1]))
    values = [tenant_id, first, last, list(cuts.edges), cuts.spans[0][0], cuts.top]
    rows = db.rows(_REQUESTS, values)
    for meter in meters:
        one = held[meter.id]
        one.slots = {place: Part(used, used) for place, _, used in rows if place is not None}
        one.subjects = [
            (ids.encode(KEY_PREFIX, subject), used)
            for place, subject, used in rows
            if place is None
        ]
