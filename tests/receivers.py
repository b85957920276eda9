"""Receivers on loopback, with TLS of a throw-away authority: what customers' addresses lead to."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import trustme

NAME = "localhost"
Respond = Callable[["Received"], tuple[int, dict[str, str], bytes]]


@cache
def authority() -> trustme.CA:
    return trustme.CA()


def write_authority(directory: Path) -> str:
    path = directory / "authority.pem"
    authority().cert_pem.write_to_path(str(path))
    return str(path)


def tls(*names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert(*(names or (NAME, "127.0.0.1"))).configure_cert(context)
    return context


@dataclass
class Received:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """An HTTP server and what it received so far."""

    url: str
    port: int
    requests: list[Received] = field(default_factory=list)


def accept(received: Received) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, b"ok"


@contextlib.contextmanager
def http_receiver(
    respond: Respond = accept, *, context: ssl.SSLContext | None = None, port: int = 0
) -> Iterator[Receiver]:
    """Serve HTTP, or HTTPS with a context, answering each request with ``respond``."""
    receiver = Receiver("", 0)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            received = Received(self.command, self.path, headers, body)
            receiver.requests.append(received)
            status, more, answer = respond(received)
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self) -> tuple[socket.socket, object]:
            link, address = super().get_request()
            if context is None:
                return link, address
            link.settimeout(10)
            return context.wrap_socket(link, server_side=True), address

        def handle_error(self, *_: object) -> None:
            """Callers may hang up."""

    server = Server(("127.0.0.1", port), Handler)
    receiver.port = server.server_address[1]
    scheme = "https" if context else "http"
    receiver.url = f"{scheme}://{NAME}:{receiver.port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def raw_receiver(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Accept connections and let ``talk`` do with each what it likes; give the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                link, _ = listener.accept()
                with link, contextlib.suppress(OSError):
                    link.settimeout(10)
                    talk(link)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        thread.join(15)
        listener.close()
