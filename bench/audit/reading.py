"""What readers wait for: proofs, lists, searches. Through the API in process, all of it on."""

import random
from base64 import b64decode
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from audit.c2sp.checkpoint import parse_checkpoint
from audit.c2sp.note import parse
from audit.sealing import heads
from audit.services.buffer import write
from audit.tree.verify import check_inclusion
from audit.verification.run import verify as verify_logs
from bench.audit.api import Api
from bench.audit.entries import (
    CONTEXT,
    Spent,
    backend,
    counted,
    entry,
    load,
    metered,
    spent_by,
    spread,
)
from kernel import db
from kernel.ids import encode, new_id
from kernel.tenancy import across_tenants, tenant_context

_SAMPLES = 300
_LEVELS = (2_000, 66_000)
_PIECE = 50_000


def verify(count: int) -> dict[str, Any]:
    """Verify two logs of so many entries: without personal values, and with two openings each."""
    count = count or 100_000
    found: dict[str, Any] = {"entries": count}
    for name, context in (("plain", None), ("with_openings", CONTEXT)):
        tenant, spent = uuid4(), Spent()
        load([tenant], count, **({"context": context} if context else {}))
        with db.use_alias("sealer"):
            pid = backend()
        with metered(spent, pid):
            report = verify_logs(tenant)
        found[name] = {
            "valid": report.valid,
            "seconds": round(report.seconds, 2),
            "per_second": round(report.checked / report.seconds),
            "cpu": spent.per(report.checked),
        }
    return found


def proof(count: int) -> dict[str, Any]:
    """Prove random entries in trees of growing size (the last: a million leaves).

    The trees are real and hold three hundred real entries each. A proof reads one tile more for
    every factor of 256; the sizes show what such a level costs, and so what ten million would.
    """
    api = Api()
    sizes = [*_LEVELS, count or 1_000_000]
    trees = {size: _synthetic(size) for size in sizes}
    times: dict[int, list[float]] = {size: [] for size in sizes}
    Api.admit([tenant for tenant, _ in trees.values()])
    for tenant, events in trees.values():
        api.get(tenant, f"/events/{encode('aud', events[0])}/proof")
    for place in range(_SAMPLES):
        for size in random.sample(sizes, len(sizes)):
            tenant, events = trees[size]
            answer = api.get(tenant, f"/events/{encode('aud', events[place])}/proof")
            times[size].append(answer.ms)
            _check(answer.json())
    calls = {
        size: partial(api.get, tenant, f"/events/{encode('aud', events[1])}/proof")
        for size, (tenant, events) in trees.items()
    }
    return {
        "proofs": _SAMPLES,
        "time_by_leaves": {str(size): spread(times[size]) for size in sizes},
        "cpu_by_leaves": {str(size): spent_by(calls[size], _SAMPLES) for size in sizes},
        "statements": counted(calls[sizes[-1]]),
    }


def search(count: int) -> dict[str, Any]:
    """List and search one tenant among a thousand with so many entries (default a million)."""
    total = count or 1_000_000
    tenants = [uuid4() for _ in range(1000)]
    load(tenants, total)
    return _search(tenants, total)


def search_again(count: int) -> dict[str, Any]:
    """Ask again what an earlier ``search`` has loaded."""
    with db.use_alias("sealer"), across_tenants(), db.cursor() as cursor:
        cursor.execute(
            "SELECT tenant_id FROM audit_head WHERE size BETWEEN 50 AND 2000 LIMIT %s",
            [count or 1000],
        )
        tenants = [row[0] for row in cursor.fetchall()]
        cursor.execute("SELECT sum(size)::bigint FROM audit_head WHERE stream <> 2")
        total = int(cursor.fetchone()[0])
    return _search(tenants, total)


QUESTIONS = {
    "list": "limit=50",
    "next_page": "limit=50&cursor={cursor}",
    "by_action": "limit=50&action=bench.changed",
    "by_target": "limit=50&target=thing7",
    "search": "limit=50&q=thing7+changed",
    "search_rare": "limit=50&q=suspended+{number}",
    "search_none": "limit=50&q=nowhere",
}


def _search(tenants: list[UUID], total: int) -> dict[str, Any]:
    api = Api()
    chosen = random.sample(tenants, min(_SAMPLES, len(tenants)))
    Api.admit(chosen)
    times: dict[str, list[float]] = {name: [] for name in QUESTIONS}
    found: dict[str, int] = dict.fromkeys(QUESTIONS, 0)
    for tenant in chosen[:10]:
        api.get(tenant, "/events", QUESTIONS["search"])
    for tenant in chosen:
        first = api.get(tenant, "/events", "limit=50").json()
        number = first["items"][-1]["changes"].get("after", {}).get("limit", 1)
        for name in random.sample(list(QUESTIONS), len(QUESTIONS)):
            query = QUESTIONS[name].format(cursor=first["next"] or "", number=number)
            if query.endswith("cursor="):
                continue
            answer = api.get(tenant, "/events", query)
            times[name].append(answer.ms)
            found[name] += len(answer.json()["items"])
    return {
        "entries": total,
        "tenants": len(tenants),
        "asked": len(chosen),
        "time": {name: spread(one) for name, one in times.items() if one},
        "items": {name: round(found[name] / max(1, len(times[name])), 1) for name in QUESTIONS},
        "cpu": {
            name: spent_by(partial(api.get, chosen[0], "/events", QUESTIONS[name]), _SAMPLES)
            for name in ("list", "search")
        },
        "statements": counted(partial(api.get, chosen[0], "/events", QUESTIONS["search"])),
    }


def _check(body: dict[str, Any]) -> None:
    """Believe no proof that does not lead to the signed root."""
    state = parse_checkpoint(parse(body["checkpoint"]).text)
    check_inclusion(
        b64decode(body["leaf_hash"]),
        index=body["leaf_index"],
        size=state.size,
        path=[b64decode(one) for one in body["path"]],
        root=state.root,
    )


def _synthetic(size: int) -> tuple[UUID, list[UUID]]:
    """Make a log whose tree is real and of whose entries only three hundred exist."""
    tenant = uuid4()
    events = {index: entry(tenant, index) for index in random.sample(range(size), _SAMPLES)}
    with tenant_context(tenant), db.atomic():
        write(list(events.values()))
    with db.use_alias("sealer"), across_tenants(), db.cursor() as cursor:
        cursor.execute("SELECT id, recorded_at FROM audit_event WHERE tenant_id = %s", [tenant])
        moments = dict(cursor.fetchall())
        moment = next(iter(moments.values()))
        with db.atomic():
            head = heads.begin(tenant, 0, 0)
            for start in range(0, size, _PIECE):
                heads.extend(head, [
                    heads.Placed(events[n].id, moments[events[n].id], events[n].leaf_hash)
                    if n in events
                    else heads.Placed(new_id(), moment, n.to_bytes(32, "big"))
                    for n in range(start, min(start + _PIECE, size))
                ])  # fmt: skip
            cursor.execute("UPDATE audit_head SET indexed = size WHERE tenant_id = %s", [tenant])
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute("ANALYZE audit_leaf")
        cursor.execute("ANALYZE audit_node")
    return tenant, [one.id for one in events.values()]
