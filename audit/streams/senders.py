"""How a batch travels: signed HTTPS, Splunk's HTTP Event Collector, or syslog over TLS."""

import contextlib
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import orjson

from audit.origin import instance_origin
from audit.registry import Severity
from audit.streams.documents import Document
from audit.streams.models import SCHEMES, LogStream
from kernel import outbound
from kernel.errors import Invalid
from kernel.outbound import Answer, Deadline, Fault, OutboundError, signatures

Kind = LogStream.Kind
SECONDS: Final = 30.0
LONGEST_HINT: Final = 3600.0
_WHOLE = re.compile(r"[0-9]{1,9}")
_FACILITY: Final = 13  # log audit
_SEVERITIES: Final = {
    Severity.CRITICAL: 2,
    Severity.WARNING: 4,
    Severity.NOTICE: 5,
    Severity.INFO: 6,
}
_SPOILT = re.compile(r'["\\\]]')


class SendError(Exception):
    """A batch that may not have arrived. ``reason`` is a code that its owner may see."""

    def __init__(self, reason: str, *, retry_s: float = 0.0, gone: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_s = retry_s
        self.gone = gone


@dataclass(frozen=True, slots=True)
class Batch:
    """Documents that travel together, under an id that a repetition carries again."""

    id: str
    documents: Sequence[Document]


def send(kind: str, url: str, secret: str, batch: Batch) -> None:
    """Send one batch and wait until the receiver has it. Call it in no transaction.

    Raises:
        SendError: the receiver does not have it for certain.
    """
    try:
        _SENDERS[Kind(kind)](outbound.parse(url, SCHEMES[Kind(kind)]), secret, batch)
    except OutboundError as error:
        raise SendError(error.fault.value) from error
    except Invalid as error:
        raise SendError(Fault.ADDRESS_REFUSED.value) from error


def _webhook(target: outbound.Target, secret: str, batch: Batch) -> None:
    """Send lines of JSON under the signature of Standard Webhooks."""
    body = b"".join(one.body + b"\n" for one in batch.documents)
    headers = signatures.signed(batch.id, body.decode(), [secret])
    headers["Content-Type"] = "application/x-ndjson"
    _judge(outbound.request(target, body=body, headers=headers, seconds=SECONDS))


def _splunk(target: outbound.Target, secret: str, batch: Batch) -> None:
    """Send events in the form of Splunk's HTTP Event Collector, one object after the other."""
    body = b"".join(_event(one) for one in batch.documents)
    headers = {"Authorization": f"Splunk {secret}", "Content-Type": "application/json"}
    _judge(outbound.request(target, body=body, headers=headers, seconds=SECONDS))


def _event(document: Document) -> bytes:
    told = {
        "time": document.at.timestamp(),
        "host": instance_origin().partition("/")[0],
        "source": "innkeeper",
        "sourcetype": "innkeeper:audit",
        "event": orjson.Fragment(document.body),
    }
    return orjson.dumps(told) + b"\n"


def _syslog(target: outbound.Target, _: str, batch: Batch) -> None:
    """Send messages of RFC 5424 over TLS, each after its length (RFC 5425).

    Syslog knows no answer. The batch counts as received once the receiver has closed its side in
    order after ours: a receiver that dies with unread data breaks the connection instead.
    """
    deadline = Deadline(SECONDS)
    frames = b"".join(_frame(one) for one in batch.documents)
    with outbound.dialled(target, deadline) as link:
        link.sendall(frames)
        _close_in_order(link)
        if deadline.passed:
            raise OutboundError(Fault.TIMEOUT)


def _frame(document: Document) -> bytes:
    priority = _FACILITY * 8 + _SEVERITIES[document.severity]
    host = instance_origin().partition("/")[0].partition(":")[0] or "-"
    at = document.at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    # 32473 is the enterprise number of RFC 5612, for those who have none of their own.
    data = f'[audit@32473 id="{_SPOILT.sub("_", document.id)}"]'
    head = f"<{priority}>1 {at} {host} innkeeper - {document.name[:32]} {data} "
    message = head.encode("ascii", "replace") + document.body
    return str(len(message)).encode() + b" " + message


def _close_in_order(link: socket.socket) -> None:
    """Say that nothing follows and wait for the other side to say so, too."""
    if isinstance(link, ssl.SSLSocket):
        with contextlib.suppress(ssl.SSLEOFError, ssl.SSLZeroReturnError):
            link.unwrap()


def _judge(answer: Answer) -> None:
    if answer.succeeded:
        return
    hint = answer.headers.get("retry-after", "")
    retry_s = min(float(hint), LONGEST_HINT) if _WHOLE.fullmatch(hint) else 0.0
    gone = answer.status == HTTPStatus.GONE or answer.headers.get("webhook-delivery") == "disable"
    raise SendError(f"status_{answer.status}", retry_s=retry_s, gone=gone)


_SENDERS: Final[dict[Kind, Callable[[outbound.Target, str, Batch], None]]] = {
    Kind.WEBHOOK: _webhook,
    Kind.SPLUNK: _splunk,
    Kind.SYSLOG: _syslog,
}
