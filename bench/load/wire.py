"""HTTP/1.1 on the wire: requests as ready bytes, and just enough parsing to find where an answer
ends."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

UNIQUE = "@@unique@@"  # replaced in a body by a text that no other request of the run carries
_STATUS_LINE = re.compile(rb"HTTP/1\.\d (\d{3})\b")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)


class MalformedResponseError(ValueError):
    """The server sent something that is not HTTP/1.1."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a workload; every `UNIQUE` in its body becomes a fresh text for each
    sending."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""

    def encode(self, host: str, unique: str = "") -> bytes:
        """The bytes to send to `host` (with its port)."""
        body = self.body.replace(UNIQUE, unique).encode()
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if body or self.method not in {"GET", "HEAD"}:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode() + body

    @property
    def varies(self) -> bool:
        """Whether each sending has bytes of its own."""
        return UNIQUE in self.body


def json_request(method: str, path: str, token: str, body: Any = None, **headers: str) -> Request:
    """A request with a bearer token and a JSON body (a media type may be given as
    `Content_Type`)."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        named.setdefault("Authorization", f"Bearer {token}")
    text = "" if body is None else json.dumps(body, separators=(",", ":"))
    if text:
        named.setdefault("Content-Type", "application/json")
    return Request(method, path, named, text)


@dataclass(slots=True)
class Response:
    """A complete answer; `head` holds the status line and the header lines as they came."""

    status: int
    head: bytes
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        """By name in lower case; read from the head each time, since most answers are never
        asked."""
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines)
        return {name.strip().lower(): value.strip() for name, _, value in pairs}

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection may carry another request."""
        return _CLOSE.search(self.head) is None


class ResponseParser:
    """Collects bytes until one answer to a request other than HEAD is complete."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Response | None:
        """The answer that these bytes complete, or None.

        Raises:
            MalformedResponseError: the bytes are no HTTP/1.1 answer.
        """
        self._buffer = buffer = self._buffer + data
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = buffer[:end]
        status = _status(head)
        found = _body(buffer, end + 4, head, status)
        if found is None:
            return None
        body, end = found
        self._buffer = buffer[end:]
        return Response(status, head, body)


def _status(head: bytes) -> int:
    found = _STATUS_LINE.match(head)
    if found is None:
        raise MalformedResponseError(head.split(b"\r\n", 1)[0][:80].decode("latin-1"))
    return int(found[1])


def _body(buffer: bytes, start: int, head: bytes, status: int) -> tuple[bytes, int] | None:
    """The body that starts there and where it ends; None while it is incomplete."""
    if status in {204, 304}:
        return b"", start
    if _CHUNKED.search(head):
        return _chunks(buffer, start)
    length = _LENGTH.search(head)
    if length is None:
        raise MalformedResponseError("an answer without Content-Length and without chunks")
    end = start + int(length[1])
    return (buffer[start:end], end) if len(buffer) >= end else None


def _chunks(buffer: bytes, at: int) -> tuple[bytes, int] | None:
    parts: list[bytes] = []
    while True:
        line_end = buffer.find(b"\r\n", at)
        if line_end < 0:
            return None
        size = int(buffer[at:line_end].split(b";")[0], 16)
        start = line_end + 2
        if len(buffer) < start + size + 2:
            return None
        if size == 0:
            return b"".join(parts), start + 2
        parts.append(buffer[start : start + size])
        at = start + size + 2
