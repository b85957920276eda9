"""A keep-alive connection: one request in flight, the caller is called back with its answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from bench.load.wire import MalformedResponseError, Response, ResponseParser

Done = Callable[["Connection", Response | None], None]


class Connection(asyncio.Protocol):
    """Sends one request at a time; `done` receives the answer, or None if the connection broke
    under it."""

    def __init__(self) -> None:
        self.usable = False
        self._parser = ResponseParser()
        self._done: Done | None = None
        self._transport: asyncio.Transport | None = None

    def send(self, data: bytes, done: Done) -> None:
        """Write a request. The connection must be usable and idle."""
        if self._transport is None or self._done is not None:
            raise RuntimeError("the connection is closed or waits for an answer")
        self._done = done
        self._transport.write(data)

    def close(self) -> None:
        """Close it; a request in flight is answered with None."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop: switch off Nagle's algorithm."""
        self._transport = cast(asyncio.Transport, transport)
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.usable = True

    def data_received(self, data: bytes) -> None:
        """Called by the loop: parse, and hand over a complete answer."""
        try:
            response = self._parser.feed(data)
        except MalformedResponseError:
            self.close()
            return
        if response is None:
            return
        if not response.keeps_alive:
            self.usable = False
            self.close()
        self._finish(response)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Called by the loop: whoever waits learns that no answer comes."""
        self.usable = False
        self._transport = None
        self._finish(None)

    def _finish(self, response: Response | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(self, response)


async def connect(host: str, port: int) -> Connection:
    """A new connection.

    Raises:
        OSError: nobody listens there.
    """
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, host, port)
    return connection


async def exchange(connection: Connection, data: bytes) -> Response | None:
    """Send one request and wait for its answer, None if the connection broke."""
    future: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()

    def done(_: Connection, response: Response | None) -> None:
        if not future.done():
            future.set_result(response)

    connection.send(data, done)
    return await future
