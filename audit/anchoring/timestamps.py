"""RFC 3161: an authority signs that it saw the hash of a note at a time of its clock."""

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Final

from cryptography.x509 import Certificate, load_pem_x509_certificates
from rfc3161_client import (
    HashAlgorithm,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from audit.anchoring.errors import AnchorError
from kernel import outbound
from kernel.outbound import OutboundError

SCHEMES: Final = ("https", "http")
"""Plain HTTP will do: the answer is signed, and the request holds a hash of what is public."""
_QUERY: Final = "application/timestamp-query"


def stamp(url: str, roots: Sequence[Certificate], note: str) -> bytes:
    """Let the authority stamp a note; return its answer (DER), verified.

    Raises:
        AnchorError: no answer, a refusal, or one that does not verify under the roots.
    """
    request = (
        TimestampRequestBuilder()
        .data(note.encode())
        .hash_algorithm(HashAlgorithm.SHA256)
        .cert_request(cert_request=True)
        .nonce(nonce=True)
        .build()
    )
    target = outbound.parse(url, SCHEMES, trusted=True)
    try:
        answer = outbound.request(target, body=request.as_bytes(), headers={"Content-Type": _QUERY})
    except OutboundError as error:
        raise AnchorError(error.fault.value) from error
    if answer.status != HTTPStatus.OK:
        raise AnchorError(f"status_{answer.status}")
    _verify(VerifierBuilder.from_request(request), roots, _decoded(answer.body), note)
    return answer.body


def verify(proof: bytes, roots: Sequence[Certificate], note: str) -> None:
    """Verify a kept answer.

    Raises:
        AnchorError: it does not cover the note, or does not verify under the roots.
    """
    _verify(VerifierBuilder(), roots, _decoded(proof), note)


def covers(proof: bytes, note: str) -> bool:
    """Tell whether a kept answer is about this note, whoever signed it."""
    imprint = _decoded(proof).tst_info.message_imprint.message
    return bool(imprint == sha256(note.encode()).digest())


@cache
def roots_of(path: str) -> tuple[Certificate, ...]:
    """Read root certificates from a PEM file.

    Raises:
        OSError: there is no such file.
        ValueError: it holds no certificates.
    """
    return tuple(load_pem_x509_certificates(Path(path).read_bytes()))


def _decoded(raw: bytes) -> TimeStampResponse:
    try:
        return decode_timestamp_response(raw)
    except ValueError as error:
        raise AnchorError("malformed_answer") from error


def _verify(
    builder: VerifierBuilder, roots: Sequence[Certificate], answer: TimeStampResponse, note: str
) -> None:
    for root in roots:
        builder = builder.add_root_certificate(root)
    try:
        builder.build().verify_message(answer, note.encode())
    except VerificationError as error:
        raise AnchorError("not_verified") from error
    except ValueError as error:  # refused by the authority, or without a certificate
        raise AnchorError("refused") from error
