"""An exact number of requests from many clients at once: for claims that hold to the unit, not on
average.

Run as processes of its own: `python -m bench.load.counted < share.json > tally.json`.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.load.connection import Connection, connect, exchange
from bench.load.wire import Request, Response

MAX_ATTEMPTS = 200


@dataclass(frozen=True, slots=True)
class Share:
    """What one process sends: `requests` copies of one request, by `clients` clients at once."""

    host: str
    port: int
    request: Request
    requests: int
    clients: int


@dataclass(slots=True)
class Tally:
    """How the requests ended: by status, by the `code` of a JSON answer, and those that never got
    an answer.

    `refusal` holds the headers of one refused (429) answer, `unanswered` the requests whose
    connection broke under them: those may or may not have been counted by the server.
    """

    statuses: dict[int, int] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    unanswered: int = 0
    refusal: dict[str, str] = field(default_factory=dict)
    admission: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, other: Tally) -> None:
        """Merge the tally of another process."""
        self.statuses = dict(Counter(self.statuses) + Counter(other.statuses))
        self.codes = dict(Counter(self.codes) + Counter(other.codes))
        self.unanswered += other.unanswered
        self.refusal = self.refusal or other.refusal
        self.admission = self.admission or other.admission
        self.seconds = max(self.seconds, other.seconds)


class _Sender:
    def __init__(self, share: Share) -> None:
        self._share = share
        self._left = share.requests
        self._run = f"{os.getpid():x}-{time.time_ns():x}"
        self.tally = Tally()

    async def run(self) -> Tally:
        started = time.monotonic()
        await asyncio.gather(*(self._client() for _ in range(self._share.clients)))
        self.tally.seconds = time.monotonic() - started
        return self.tally

    async def _client(self) -> None:
        share, connection = self._share, None
        host = f"{share.host}:{share.port}"
        while self._left > 0:
            self._left -= 1
            data = share.request.encode(host, f"{self._run}-{self._left}")
            if connection is None or not connection.usable:
                connection = await self._connect()
            response = await exchange(connection, data)
            if response is None:
                self.tally.unanswered += 1
            else:
                self._count(response)
        if connection is not None:
            connection.close()

    async def _connect(self) -> Connection:
        """A connection, waiting while the server is being replaced."""
        for _ in range(MAX_ATTEMPTS):
            try:
                return await connect(self._share.host, self._share.port)
            except OSError:
                await asyncio.sleep(0.05)
        raise ConnectionError("the server does not come back")

    def _count(self, response: Response) -> None:
        tally = self.tally
        tally.statuses[response.status] = tally.statuses.get(response.status, 0) + 1
        if response.headers.get("content-type", "").partition(";")[0].endswith("json"):
            body = json.loads(response.body)
            code = body.get("code") if isinstance(body, dict) else None
            if isinstance(code, str):
                tally.codes[code] = tally.codes.get(code, 0) + 1
        if response.status == 429:
            tally.refusal = response.headers
        elif response.status < 400:
            tally.admission = response.headers


def run(
    host: str, port: int, request: Request, *, requests: int, clients: int, processes: int
) -> Tally:
    """Send exactly `requests` requests from `clients` clients spread over `processes` processes.

    Raises:
        RuntimeError: a process failed; its error output is the message.
        ValueError: the numbers do not divide evenly.
    """
    if requests % processes or clients % processes:
        raise ValueError("requests and clients must divide evenly over the processes")
    share = Share(host, port, request, requests // processes, clients // processes)
    running = [_spawn() for _ in range(processes)]
    for process in running:  # all are up before the first one starts to send
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(share)))
        process.stdin.close()
        process.stdin = None
    total = Tally()
    for process in running:
        output, errors = process.communicate()
        if process.returncode:
            raise RuntimeError(errors.strip())
        raw = json.loads(output)
        statuses = {int(code): count for code, count in raw.pop("statuses").items()}
        total.add(Tally(statuses=statuses, **raw))
    return total


def _spawn() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bench.load.counted"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    )


if __name__ == "__main__":
    raw = json.loads(sys.stdin.read())
    raw["request"] = Request(**raw["request"])
    print(json.dumps(asdict(asyncio.run(_Sender(Share(**raw)).run()))))
