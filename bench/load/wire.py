"""HTTP/1.1 on the wire: requests as ready bytes, and just enough parsing to find where an answer
ends."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

UNIQUE = "@@unique@@"  # replaced in a body by a text that no other request of the run carries


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
    """A complete answer; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection may carry another request."""
        return self.headers.get("connection", "").lower() != "close"


class ResponseParser:
    """Collects bytes until one answer to a request other than HEAD is complete."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: tuple[int, dict[str, str]] | None = None
        self._body_at = 0

    def feed(self, data: bytes) -> Response | None:
        """The answer that these bytes complete, or None.

        Raises:
            MalformedResponseError: the bytes are no HTTP/1.1 answer.
        """
        self._buffer += data
        if self._head is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return None
            self._head = _parse_head(bytes(self._buffer[:end]))
            self._body_at = end + 4
        status, headers = self._head
        found = self._body(status, headers)
        if found is None:
            return None
        body, end = found
        del self._buffer[:end]
        self._head = None
        return Response(status, headers, body)

    def _body(self, status: int, headers: dict[str, str]) -> tuple[bytes, int] | None:
        if status in {204, 304}:
            return b"", self._body_at
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        if "content-length" not in headers:
            raise MalformedResponseError("an answer without Content-Length and without chunks")
        end = self._body_at + int(headers["content-length"])
        if len(self._buffer) < end:
            return None
        return bytes(self._buffer[self._body_at : end]), end

    def _chunks(self) -> tuple[bytes, int] | None:
        parts: list[bytes] = []
        at = self._body_at
        while True:
            line_end = self._buffer.find(b"\r\n", at)
            if line_end < 0:
                return None
            size = int(self._buffer[at:line_end].split(b";")[0], 16)
            start = line_end + 2
            if len(self._buffer) < start + size + 2:
                return None
            if size == 0:
                return b"".join(parts), start + 2
            parts.append(bytes(self._buffer[start : start + size]))
            at = start + size + 2


def _parse_head(head: bytes) -> tuple[int, dict[str, str]]:
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
        raise MalformedResponseError(lines[0][:80])
    pairs = (line.partition(":") for line in lines[1:])
    return int(words[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}
