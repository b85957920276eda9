"""A receiver that keeps what it gets and kills itself: ``PORT FILE NUMBER`` (0: it lives)."""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

PORT, KEPT, DIES_AT = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])


class Handler(BaseHTTPRequestHandler):
    """Keeps each body on disk before it answers."""

    number = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with Path(KEPT).open("ab") as file:
            file.write(body)
        Handler.number += 1
        if Handler.number == DIES_AT:
            os.kill(os.getpid(), signal.SIGKILL)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(HTTPServer):
    """Takes its port again at once."""

    allow_reuse_address = True


server = Server(("127.0.0.1", PORT), Handler)
sys.stdout.write("ready\n")
sys.stdout.flush()
server.serve_forever()
