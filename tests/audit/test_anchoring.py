"""Anchors with others: a real RFC 3161 authority, and a witness that checks what it signs."""

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import IntegrityError
from tlog_scales.signing import Vkey
from tlog_scales.tlog import Checkpoint, ConsistencyProof

from audit.anchoring import configured, evidence, service, timestamps, witnesses
from audit.anchoring.errors import AnchorError
from audit.c2sp.cosignature import witness_verifier
from audit.c2sp.errors import FormatError
from audit.c2sp.note import key_id, vkey
from audit.doctor import anchors as anchors_checked
from audit.models import HEADS_STREAM, PLATFORM_TENANT
from audit.sealing import headslog
from audit.sealing.keys import ring
from audit.sealing.sealer import Sealer
from audit.verification.run import verify
from kernel import db
from kernel.doctor.findings import Verdict
from tests.audit.authority import Authority
from tests.audit.logs import changes, rows
from tests.audit.superuser import superuser
from tests.guests import call, operator_key, system
from tests.receivers import Received, Receiver, http_receiver

NEEDS_OPENSSL = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is missing")
NAME = "witness.example/w1"


@pytest.fixture(autouse=True)
def _no_anchor_is_left(settings: Any) -> Iterator[None]:
    """Anchors are the instance's: the next test must find none of them."""
    settings.INNKEEPER_OUTBOUND_TARGETS = []
    yield
    with system():
        configured.reconcile([])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa"))


def published(sealer: Sealer) -> tuple[Any, int, str]:
    """Let a log grow and publish the log of heads; give its newest note."""
    changes(uuid4(), 1)
    sealer.drain()
    headslog.publish()
    (row,) = rows(
        "SELECT c.log_id, c.size, c.note FROM audit_checkpoint c JOIN audit_head h USING (log_id) "
        "WHERE h.tenant_id = %s AND h.stream = %s ORDER BY h.epoch DESC, c.size DESC LIMIT 1",
        PLATFORM_TENANT,
        HEADS_STREAM,
    )
    return row


def again() -> None:
    rows("UPDATE audit_anchor_state SET next_at = now() RETURNING 1")


def reports(log_id: Any) -> list[str]:
    (report,) = verify(log_id=log_id).logs
    return [finding.detail for finding in report.findings if finding.verdict != "erased"]


def stamping(settings: Any, authority: Authority, receiver: Receiver) -> configured.Anchor:
    settings.INNKEEPER_AUDIT_TSA = receiver.url
    settings.INNKEEPER_AUDIT_TSA_CA = str(authority.roots)
    (anchor,) = configured.configured()
    with system():
        configured.reconcile([anchor])
    return anchor


@NEEDS_OPENSSL
def test_time_stamp__of_a_real_authority__is_verified_by_openssl_and_by_audit_verify(
    sealer: Sealer, settings: Any, authority: Authority
) -> None:
    log_id, size, note = published(sealer)
    with http_receiver(authority.answer) as receiver:
        anchor = stamping(settings, authority, receiver)
        with system():
            assert service.attempt(anchor)
            assert not service.attempt(anchor)
    assert receiver.requests[0].headers["content-type"] == "application/timestamp-query"
    kept = evidence.place("rfc3161", anchor.name)
    assert kept.read_text() == note
    assert authority.verifies(kept, kept.with_suffix(".tsr"))
    assert kept.with_suffix(".tsr").stat().st_mode & 0o777 == 0o600
    other = kept.with_name("other")
    other.write_text(note + "\n")
    assert not authority.verifies(other, kept.with_suffix(".tsr"))
    state = rows("SELECT log_id, size, failures FROM audit_anchor_state")
    assert state == [(log_id, size, 0)]
    assert reports(log_id) == []
    shown = call("GET", "admin/audit/anchors", operator_key()).body["items"]
    assert [(one["name"], one["size"]) for one in shown] == [("rfc3161 localhost", size)]
    assert [one.verdict for one in anchors_checked_as_staff()] == [Verdict.OK]


def anchors_checked_as_staff() -> Any:
    with db.use_alias("staff"):
        return anchors_checked()


@NEEDS_OPENSSL
def test_time_stamp__swapped_by_the_databases_owner__is_found(
    sealer: Sealer, settings: Any, authority: Authority
) -> None:
    log_id, size, _ = published(sealer)
    stranger = authority.answer(Received("POST", "/", {}, query_of("another note\n")))[2]
    with http_receiver(authority.answer) as receiver:
        anchor = stamping(settings, authority, receiver)
        with system():
            assert service.attempt(anchor)
    with swapped(log_id, stranger.hex()):
        assert reports(log_id) == [
            f"the rfc3161 anchor of size {size} does not hold: it stamps another note"
        ]
    with swapped(log_id, "00"):
        assert reports(log_id) == [
            f"the rfc3161 anchor of size {size} does not hold: malformed_answer"
        ]
    assert reports(log_id) == []


def query_of(text: str) -> bytes:
    builder = timestamps.TimestampRequestBuilder().data(text.encode())
    return builder.hash_algorithm(timestamps.HashAlgorithm.SHA256).build().as_bytes()


class swapped:  # noqa: N801 - reads as a sentence
    """Replace the newest proof as a superuser could, and put it back."""

    def __init__(self, log_id: Any, proof: str) -> None:
        self._log, self._proof = log_id, proof

    def __enter__(self) -> None:
        (found,) = rows(
            "SELECT id, proof FROM audit_anchor WHERE log_id = %s ORDER BY at DESC LIMIT 1",
            self._log,
        )
        self._id, self._true = found
        self._put(self._proof)

    def __exit__(self, *_: object) -> None:
        self._put(self._true)

    def _put(self, proof: str) -> None:
        with superuser() as link:
            link.execute("ALTER TABLE audit_anchor DISABLE TRIGGER USER")
            link.execute("UPDATE audit_anchor SET proof = %s WHERE id = %s", [proof, self._id])
            for name in ("audit_refuse_change", "audit_refuse_truncate"):
                link.execute(f"ALTER TABLE audit_anchor ENABLE ALWAYS TRIGGER {name}")


@NEEDS_OPENSSL
def test_time_stamp__of_an_authority_that_is_not_trusted__is_not_taken(
    sealer: Sealer, settings: Any, authority: Authority, tmp_path: Path
) -> None:
    published(sealer)
    stranger = Authority(tmp_path)
    with http_receiver(stranger.answer) as receiver:
        anchor = stamping(settings, authority, receiver)
        with system():
            assert not service.attempt(anchor)
    assert rows("SELECT failures, last_error FROM audit_anchor_state") == [(1, "not_verified")]


def told(action: str) -> int:
    ((number,),) = rows(
        "SELECT count(*) FROM audit_event WHERE tenant_id = %s AND action = %s",
        PLATFORM_TENANT,
        action,
    )
    return int(number)


def test_anchor__that_fails_and_recovers__is_told_once_each_and_waits_longer(
    sealer: Sealer, settings: Any, authority: Authority
) -> None:
    published(sealer)
    before = {name: told(f"audit.anchor.{name}") for name in ("failing", "recovered")}
    with http_receiver(lambda _: (503, {}, b"")) as receiver:
        anchor = stamping(settings, authority, receiver)
        pauses = []
        for _ in range(service.FAILING + 1):
            again()
            with system():
                assert not service.attempt(anchor)
                assert not service.attempt(anchor)  # not due yet
            pauses.append(
                rows(
                    "SELECT extract(epoch FROM next_at - tried_at)::float8 FROM audit_anchor_state"
                )[0][0]
            )
    assert len(receiver.requests) == service.FAILING + 1
    assert pauses == sorted(pauses)
    assert rows("SELECT failures, last_error FROM audit_anchor_state") == [(6, "status_503")]
    assert [one.verdict for one in anchors_checked_as_staff()] == [Verdict.FAILED]
    assert told("audit.anchor.failing") == before["failing"] + 1
    assert rows(
        "SELECT payload->>'last_error' FROM kernel_outbox WHERE name = 'audit_anchor.failing' "
        "AND payload->>'anchor' = %s",
        anchor.name,
    ) == [("status_503",)]
    works = configured.Anchor(anchor.name, "witness", 1.0, lambda log, note, seen: note)
    again()
    with system():
        assert service.attempt(works)
    assert told("audit.anchor.recovered") == before["recovered"] + 1


def test_anchors__added_to_and_taken_out_of_the_settings__are_entries() -> None:
    before = [told(f"audit.anchor.{name}") for name in ("configured", "removed")]
    anchor = configured.Anchor("witness x", "witness", 1.0, lambda log, note, seen: note)
    with system():
        for anchors in ([anchor], [anchor], [], []):
            configured.reconcile(anchors)
    after = [told(f"audit.anchor.{name}") for name in ("configured", "removed")]
    assert after == [before[0] + 1, before[1] + 1]


def test_anchor_state__added_without_an_entry__is_refused_at_commit() -> None:
    with (
        system(),
        pytest.raises(IntegrityError, match="needs an audit entry"),
        db.atomic(),
        db.cursor() as cursor,
    ):
        cursor.execute("INSERT INTO audit_anchor_state (name, kind) VALUES ('x', 'witness')")


class Seeing:
    """A witness after C2SP tlog-witness that checks everything with software that is not ours."""

    def __init__(self, seed: int = 9) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        public = self._key.public_key().public_bytes_raw()
        self.vkey = vkey(NAME, 4, public)
        self._id = key_id(NAME, 4, public)
        self.seen: Checkpoint | None = None
        self.olds: list[int] = []

    def answer(self, received: Received) -> tuple[int, dict[str, str], bytes]:
        assert received.path == "/w/add-checkpoint"
        head, _, note = received.body.decode().partition("\n\n")
        first, *hashes = head.split("\n")
        old, told = int(first.removeprefix("old ")), Checkpoint.from_text(note)
        self.olds.append(old)
        log_key = ring().verifiers(told.origin)[0][0].vkey
        told.verify(Vkey.from_string(log_key))
        size = self.seen.size if self.seen else 0
        if old != size:
            return 409, {"Content-Type": "text/x.tlog.size"}, f"{size}\n".encode()
        if self.seen:
            path = [base64.b64decode(one) for one in hashes]
            proof = ConsistencyProof(old, told.size, path)
            proof.check(self.seen.root_hash, told.root_hash)
        self.seen = told
        return 200, {}, self.lines(told.serialize_body())

    def lines(self, text: str, moment: int = 1_790_000_000) -> bytes:
        raw = self._key.sign(f"cosignature/v1\ntime {moment}\n{text}".encode())
        own = base64.b64encode(self._id + moment.to_bytes(8, "big") + raw).decode()
        other = base64.b64encode(bytes(4) + bytes(72)).decode()
        return f"— unknown.example {other}\n— {NAME} {own}\n".encode()


def witnessing(settings: Any, seeing: Seeing, receiver: Receiver) -> configured.Anchor:
    settings.INNKEEPER_AUDIT_WITNESSES = [f"{seeing.vkey} {receiver.url}/w"]
    (anchor,) = configured.configured()
    with system():
        configured.reconcile([anchor])
    return anchor


def test_witness__sees_the_log_grow__and_its_cosignatures_verify_elsewhere(
    sealer: Sealer, settings: Any
) -> None:
    seeing, sizes = Seeing(), []
    with http_receiver(seeing.answer) as receiver:
        anchor = witnessing(settings, seeing, receiver)
        for _ in range(3):
            log_id, size, note = published(sealer)
            sizes.append(size)
            again()
            with system():
                assert service.attempt(anchor)
    assert seeing.olds == [0, *sizes[:2]]
    cosigned = evidence.place("witness", anchor.name).read_text()
    assert cosigned.startswith(note)
    theirs = Vkey.from_string(seeing.vkey)
    Checkpoint.from_text(cosigned).verify(theirs)
    assert call("GET", "audit/heads/checkpoint").content.decode() == cosigned
    assert witnesses.verifies(witness_verifier(seeing.vkey), cosigned)
    assert reports(log_id) == []
    forged = cosigned.replace(note.split("\n")[1], str(size + 1), 1)
    with swapped(log_id, forged):
        assert reports(log_id) != []


def test_witness__that_saw_another_size__is_asked_again_from_there(
    sealer: Sealer, settings: Any
) -> None:
    _, _, note = published(sealer)
    seeing = Seeing()
    seeing.seen = Checkpoint.from_text(note)
    published(sealer)
    with http_receiver(seeing.answer) as receiver:
        anchor = witnessing(settings, seeing, receiver)
        with system():
            assert service.attempt(anchor)
    assert seeing.olds[0] == 0
    assert len(seeing.olds) == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((409, {"Content-Type": "text/x.tlog.size"}, b"999999999\n"), "witness_ahead"),
        ((409, {}, b"1\n"), "status_409"),
        ((404, {}, b""), "status_404"),
        ((200, {}, b"nonsense"), "malformed_answer"),
        ((200, {}, b""), "malformed_answer"),
        ((200, {}, Seeing(8).lines("another text\n")), "not_verified"),
        ((200, {}, Seeing().lines("another text\n")), "not_verified"),
    ],
)
def test_witness__that_does_not_sign__leaves_no_anchor(
    sealer: Sealer, settings: Any, answer: Any, reason: str
) -> None:
    published(sealer)
    with http_receiver(lambda _: answer) as receiver:
        anchor = witnessing(settings, Seeing(), receiver)
        with system():
            assert not service.attempt(anchor)
    assert rows("SELECT failures, last_error, size FROM audit_anchor_state") == [(1, reason, 0)]


@pytest.mark.parametrize("text", ["", "x", NAME, f"{vkey(NAME, 1, bytes(32))} https://w.invalid"])
def test_witness__misspelt_in_the_settings__is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        witnesses.read(text)


def test_stamp__by_nobody__says_why() -> None:
    with http_receiver() as receiver:
        url = receiver.url
    with pytest.raises(AnchorError, match="unreachable"):
        timestamps.stamp(url, [], "note\n")
