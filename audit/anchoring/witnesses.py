"""C2SP witnesses: they sign that the log they see only ever grew (tlog-witness, add-checkpoint)."""

import re
from base64 import b64encode
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from uuid import UUID

from audit.anchoring.errors import AnchorError
from audit.c2sp.cosignature import witness_verifier
from audit.c2sp.errors import FormatError
from audit.c2sp.note import Verifier, parse, signed_by
from audit.sealing.anchors import checkpoint_of
from audit.sealing.tiles import DatabaseTiles
from audit.tree.proofs import consistency_proof
from kernel import outbound
from kernel.outbound import Answer, OutboundError, Target

SCHEMES: Final = ("https", "http")
_SIZE_TYPE: Final = "text/x.tlog.size"
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n?")


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness as the settings name it: its key and the prefix of its submissions."""

    vkey: str
    url: str

    @property
    def verifier(self) -> Verifier:
        """The key that its cosignatures verify under."""
        return witness_verifier(self.vkey)


def read(text: str) -> Witness:
    """Read ``<vkey> <url>``.

    Raises:
        audit.c2sp.errors.FormatError: the key is no witness's, or the address is missing.
    """
    vkey, separator, url = text.strip().partition(" ")
    if not separator:
        raise FormatError("a witness is named by its vkey and its url")
    witness_verifier(vkey)
    return Witness(vkey, url.strip())


def cosign(witness: Witness, log_id: UUID, note: str, *, old: int) -> str:
    """Let a witness cosign a note; return the note with its cosignature, verified.

    Args:
        witness: who.
        log_id: the log, from which the proof that it only grew is read.
        note: the signed checkpoint.
        old: the size that this witness saw last; corrected by its own word.

    Raises:
        AnchorError: it does not sign; ``witness_ahead`` means that it has seen more than we have.
    """
    size = checkpoint_of(note).size
    answer = _add(witness, log_id, note, old, size)
    if answer.status == HTTPStatus.CONFLICT:
        seen = _size_told(answer)
        if seen is None or seen > size:
            raise AnchorError("witness_ahead" if seen is not None else "status_409")
        answer = _add(witness, log_id, note, seen, size)
    if answer.status != HTTPStatus.OK:
        raise AnchorError(f"status_{answer.status}")
    return _with_cosignature(witness.verifier, note, answer.body)


def verifies(verifier: Verifier, cosigned: str) -> bool:
    """Tell whether a note carries a good cosignature of this witness."""
    return signed_by(parse(cosigned), verifier)


def _add(witness: Witness, log_id: UUID, note: str, old: int, size: int) -> Answer:
    path = consistency_proof(DatabaseTiles(log_id), old, size) if 0 < old < size else []
    hashes = "".join(f"{b64encode(one).decode()}\n" for one in path)
    body = f"old {old}\n{hashes}\n{note}".encode()
    try:
        return outbound.request(_endpoint(witness), body=body)
    except OutboundError as error:
        raise AnchorError(error.fault.value) from error


def _endpoint(witness: Witness) -> Target:
    return outbound.parse(witness.url.rstrip("/") + "/add-checkpoint", SCHEMES, trusted=True)


def _size_told(answer: Answer) -> int | None:
    match = _SIZE.fullmatch(answer.body)
    if answer.headers.get("content-type") != _SIZE_TYPE or match is None:
        return None
    return int(match[1])


def _with_cosignature(verifier: Verifier, note: str, lines: bytes) -> str:
    """Append the witness's own line to the note; lines of other keys are ignored."""
    text = parse(note).text
    try:
        given = parse(text + "\n" + lines.decode())
    except (FormatError, UnicodeDecodeError) as error:
        raise AnchorError("malformed_answer") from error
    own = [
        one
        for one in given.signatures
        if one.name == verifier.name and one.key_id == verifier.key_id
    ]
    if not own or not signed_by(given, verifier):
        raise AnchorError("not_verified")
    return note + own[0].line()
