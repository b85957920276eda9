"""Requests straight into a WSGI application: full middleware, no socket."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Call:
    """One request; `query` without its question mark."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    query: str = ""

    def environ(self) -> dict[str, Any]:
        """The WSGI environment as granian builds it for a loopback client."""
        found: dict[str, Any] = {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": self.path,
            "QUERY_STRING": self.query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "127.0.0.1:8000",
            "CONTENT_LENGTH": str(len(self.body)) if self.body else "",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(self.body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        for name, value in self.headers.items():
            key = name.upper().replace("-", "_")
            found[key if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
        return found


@dataclass(frozen=True, slots=True)
class Answer:
    """A response and how long it took, in milliseconds; header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes
    ms: float
    cookies: dict[str, str]

    def json(self) -> Any:
        """The decoded JSON body.

        Raises:
            json.JSONDecodeError: the body is no JSON.
        """
        return json.loads(self.body)


def send(application: Application, call: Call) -> Answer:
    """Run one request, the body read to its end and closed, and time it."""
    head: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        head.append((int(status.split(" ", 1)[0]), headers))

    environ = call.environ()
    started = time.perf_counter()
    result = application(environ, start_response)
    try:
        body = b"".join(result)
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()
    spent = (time.perf_counter() - started) * 1000
    status, headers = head[0]
    cookies = {
        name: rest.split(";", 1)[0]
        for key, value in headers
        if key.lower() == "set-cookie"
        for name, _, rest in [value.partition("=")]
    }
    named = {key.lower(): value for key, value in headers}
    return Answer(status, named, body, spent, cookies)


def json_call(
    method: str, path: str, key: str = "", body: Any = None, query: str = "", **headers: str
) -> Call:
    """A call with a bearer key and a JSON body; headers with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if key:
        named["Authorization"] = f"Bearer {key}"
    data = b""
    if body is not None:
        data = json.dumps(body, separators=(",", ":")).encode()
        named.setdefault("Content-Type", "application/json")
    return Call(method, path, named, data, query)
