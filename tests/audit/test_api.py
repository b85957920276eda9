"""The log over HTTP: a tenant's own entries, nobody else's, and what proves them."""

import base64
import json
from uuid import UUID

import pytest

from audit.c2sp.checkpoint import parse_checkpoint
from audit.c2sp.note import Ed25519Verifier, parse, signed_by, split_vkey
from audit.c2sp.proof import parse_proof
from audit.c2sp.tiles import decode_entries
from audit.sealing import headslog
from audit.sealing.sealer import Sealer
from audit.tree.frontier import root_of
from audit.tree.hashes import leaf_hash
from audit.tree.verify import check_consistency, check_inclusion
from kernel import db
from kernel.ids import encode, new_id
from kernel.tenancy import tenant_context
from tests.audit.logs import rows, say
from tests.guests import Answer, Guest, call, new_guest, new_key, operator_key
from tests.waiting import until

COUNT = 300


@pytest.fixture(scope="module")
def guest() -> Guest:
    return new_guest()


@pytest.fixture(scope="module")
def told(guest: Guest) -> list[UUID]:
    """Record 300 sealed entries of the guest, one of them about a person."""
    with tenant_context(guest.id), db.atomic():
        made = [say(f"name{number}", target_id=f"smp_{number % 10}") for number in range(COUNT)]
        made.append(say(before=None, after={"email": "kim@example.org", "name": "quetzal"}))
    leader = Sealer()
    until("a former leader's session has ended", leader.lead)
    leader.drain()
    leader.release()
    return [receipt.event_id for receipt in made]


def get(guest: Guest, path: str, **headers: str) -> Answer:
    return call("GET", path, guest.key, **headers)


def test_events__pages__hold_every_entry_once_newest_first(guest: Guest, told: list[UUID]) -> None:
    seen, cursor = [], ""
    while cursor is not None:
        answer = get(guest, f"audit/events?limit=100&action=sample.*&cursor={cursor}")
        assert answer.status == 200
        seen += [item["id"] for item in answer.body["items"]]
        cursor = answer.body["next"]
    assert seen == [encode("aud", event) for event in sorted(told, reverse=True)]


def test_events__item__tells_the_whole_story(guest: Guest, told: list[UUID]) -> None:
    item = get(guest, f"audit/events/{encode('aud', told[-1])}").body
    assert item["changes"] == {"after": {"email": "kim@example.org", "name": "quetzal"}}
    assert item["targets"] == [{"type": "sample", "id": "smp_1"}]
    assert (item["action"], item["severity"], item["outcome"]) == (
        "sample.renamed",
        "notice",
        "success",
    )
    assert item["summary"] == "anonymous renamed sample smp_1"
    assert item["tenant"] == guest.public_id
    assert item["sealed"]
    assert isinstance(item["leaf_index"], int)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("action=sample.renamed&target=smp_3&limit=100", 30),
        ("action=sample.renamed&target=smp_3&target_type=other", 0),
        ("action=nobody.knows", 0),
        ("action=sample.renamed&outcome=denied", 0),
        ("action=sample.renamed&actor=usr_1", 0),
        ("q=quetzal", 1),
        ("q=kim@example.org+renamed", 1),
        ("q=quetzal+-renamed", 0),
        ("q=name77", 1),
        ("action=sample.renamed&to=2020-01-01T00:00:00Z", 0),
        ("action=sample.renamed&from=2020-01-01T00:00:00Z&target=smp_7", 30),
        ("request_id=req_unknown", 0),
    ],
)
def test_events__filter__narrows(guest: Guest, told: list[UUID], query: str, count: int) -> None:
    answer = get(guest, f"audit/events?{query}")
    assert (answer.status, len(answer.body["items"])) == (200, count)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("outcome=perhaps", "/query/outcome"),
        ("from=yesterday", "/query/from"),
        ("to=9", "/query/to"),
        ("limit=0", "/query/limit"),
        ("cursor=x", "/query/cursor"),
        ("q=" + "x" * 201, "/query/q"),
    ],
)
def test_events__malformed_parameter__is_named(guest: Guest, query: str, pointer: str) -> None:
    answer = get(guest, f"audit/events?{query}")
    assert (answer.status, answer.body["errors"][0]["pointer"]) == (400, pointer)


def test_events__another_tenant__sees_none_of_it(guest: Guest, told: list[UUID]) -> None:
    other = new_guest()
    assert get(other, "audit/events?action=sample.*").body["items"] == []
    assert get(other, "audit/events?q=quetzal").body["items"] == []
    unknown = get(other, f"audit/events/{encode('aud', new_id())}")
    foreign = get(other, f"audit/events/{encode('aud', told[0])}")
    for answer in (unknown, foreign):
        answer.body.pop("request_id")
        answer.body.pop("instance")
    assert (foreign.status, foreign.body) == (404, unknown.body)
    log = get(guest, "audit/checkpoint").body["log"]
    assert get(other, f"audit/tlog/{log}/checkpoint").status == 404
    assert get(other, f"audit/tlog/{log}/tile/entries/000").status == 404


def test_events__key_without_the_permission__is_refused_and_the_attempt_is_recorded(
    guest: Guest,
) -> None:
    issued = new_key(guest.id, "keys:read")
    answer = call("GET", "audit/events", issued.text)
    assert answer.status == 403
    found = get(guest, f"audit/events?action=access.denied&actor={encode('key', issued.key.id)}")
    (item,) = found.body["items"]
    assert item["outcome"] == "denied"
    assert item["context"]["metadata"]["method"] == "GET"
    assert item["context"]["request_id"] == answer.body["request_id"]


def test_events__reading_the_list__is_an_entry_itself(guest: Guest) -> None:
    request_id = get(guest, "audit/events?limit=1").headers["X-Request-Id"]
    found = get(guest, f"audit/events?action=audit.events.viewed&request_id={request_id}")
    assert len(found.body["items"]) == 1


def test_operator__list__spans_tenants_and_narrows_to_one(guest: Guest, told: list[UUID]) -> None:
    key = operator_key()
    answer = call("GET", f"admin/audit/events?tenant={guest.public_id}&q=quetzal", key)
    assert [item["id"] for item in answer.body["items"]] == [encode("aud", told[-1])]
    assert call("GET", "admin/audit/events", guest.key).status in (401, 403)


def test_proof__json__shows_the_entry_under_the_signed_checkpoint(
    guest: Guest, told: list[UUID]
) -> None:
    vkeys = get(guest, "audit/checkpoint").body["vkeys"]
    proof = get(guest, f"audit/events/{encode('aud', told[42])}/proof").body
    leaf = base64.b64decode(proof["leaf"])
    note = parse(proof["checkpoint"])
    checkpoint = parse_checkpoint(note.text)
    assert json.loads(leaf)["id"] == str(told[42])
    assert signed_by(note, Ed25519Verifier(*split_vkey(vkeys[0])[::2]))
    check_inclusion(
        leaf_hash(leaf),
        index=proof["leaf_index"],
        size=checkpoint.size,
        path=[base64.b64decode(one) for one in proof["path"]],
        root=checkpoint.root,
    )


def test_proof__text__is_a_tlog_proof(guest: Guest, told: list[UUID]) -> None:
    answer = get(guest, f"audit/events/{encode('aud', told[7])}/proof", Accept="text/plain")
    assert answer.headers["Content-Type"].startswith("text/plain")
    proof = parse_proof(answer.content.decode())
    checkpoint = parse_checkpoint(parse(proof.checkpoint).text)
    assert proof.extra is not None
    check_inclusion(
        leaf_hash(proof.extra),
        index=proof.index,
        size=checkpoint.size,
        path=proof.path,
        root=checkpoint.root,
    )


def test_proof__entry_not_sealed_yet__says_so(guest: Guest) -> None:
    with tenant_context(guest.id), db.atomic():
        receipt = say()
    answer = get(guest, f"audit/events/{encode('aud', receipt.event_id)}/proof")
    assert (answer.status, answer.code) == (404, "not_sealed")
    assert answer.headers["Retry-After"] == "1"


def test_consistency__two_sizes__is_shown(guest: Guest, told: list[UUID]) -> None:
    log = get(guest, "audit/checkpoint").body
    proof = get(guest, f"audit/consistency?old=100&new={log['size']}").body
    old_root = _root_by_tiles(guest, log["log"], 100)
    check_consistency(
        old=100,
        new=log["size"],
        old_root=old_root,
        new_root=base64.b64decode(log["root"]),
        path=[base64.b64decode(one) for one in proof["path"]],
    )
    for query in ("old=0", "old=5&new=4", "new=5"):
        assert get(guest, f"audit/consistency?{query}").status == 400
    assert get(guest, "audit/consistency?old=1&new=999999").status == 404
    assert get(guest, "audit/consistency?old=x").status == 400


def _root_by_tiles(guest: Guest, log: str, size: int) -> bytes:
    content = get(guest, f"audit/tlog/{log}/tile/0/000.p/{size}").content
    return root_of(content[at : at + 32] for at in range(0, len(content), 32))


def test_tiles__of_a_log__are_its_entries(guest: Guest, told: list[UUID]) -> None:
    log = get(guest, "audit/checkpoint").body["log"]
    entries = get(guest, f"audit/tlog/{log}/tile/entries/000")
    hashes = get(guest, f"audit/tlog/{log}/tile/0/000")
    assert hashes.content == b"".join(leaf_hash(one) for one in decode_entries(entries.content))
    assert len(hashes.content) == 8192
    assert hashes.headers["Content-Type"] == "application/octet-stream"
    assert hashes.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    for path in ("0/001.p/255", "0/0", "5/000", "0/000.p/256", "1/000", "entries/x001/000"):
        assert get(guest, f"audit/tlog/{log}/tile/{path}").status == 404
    assert len(get(guest, f"audit/tlog/{log}/tile/1/000.p/1").content) == 32


def test_feed__read_to_its_end__has_no_gap_and_resumes(guest: Guest, told: list[UUID]) -> None:
    seen: list[int] = []
    events: list[str] = []
    after = -1
    while True:
        answer = get(guest, f"audit/feed?after={after}&limit=100")
        if not answer.body["items"]:
            break
        seen += [item["leaf_index"] for item in answer.body["items"]]
        events += [item["leaf"]["id"] for item in answer.body["items"]]
        after = answer.body["next"]
        size = parse_checkpoint(parse(answer.body["checkpoint"]).text).size
        assert size > after
    assert seen == list(range(len(seen)))
    assert set(map(str, told)) <= set(events)
    assert answer.body["next"] == after


def test_heads_log__public__fixes_the_log_under_its_alias(guest: Guest, told: list[UUID]) -> None:
    headslog.publish()
    alias = get(guest, "audit/checkpoint").body["heads_alias"]
    answer = call("GET", "audit/heads/checkpoint")
    assert answer.status == 200
    size = parse_checkpoint(parse(answer.content.decode()).text).size
    states = []
    for index in range(0, size, 256):
        width = min(256, size - index)
        partial = "" if width == 256 else f".p/{width}"
        tile = call("GET", f"audit/heads/tile/entries/{index // 256:03}{partial}")
        states += [json.loads(one) for one in decode_entries(tile.content)]
    own = [state for state in states if state["log"] == alias]
    stored = rows("SELECT size, encode(root, 'hex') FROM audit_head WHERE tenant_id = %s", guest.id)
    assert (own[-1]["size"], own[-1]["root"]) in stored
    assert str(guest.id) not in json.dumps(states)
