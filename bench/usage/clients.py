"""Clients that give nothing up: each report is sent again until it is answered for good.

What was acknowledged is written to a file and flushed to the disk before the next report is sent:
the record outlives whatever is killed.
"""

import http.client
import json
import os
import random
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
TIMEOUT_S = 20.0
PAUSE_S = 0.02
LARGEST_USE = 600
UNSURE = frozenset({500, 502, 503, 504})
"""Statuses that do not tell whether the report was taken."""


class Client(threading.Thread):
    """Reports until ``stop`` is set. ``acknowledged`` counts reports, ``resent`` repeats.

    ``log`` is the record. Whatever else goes wrong ends the thread and is kept as ``failure``.
    """

    def __init__(self, port: int, log: Path, stop: threading.Event) -> None:
        super().__init__()
        self._port, self.log, self._stop_now = port, log, stop
        self._connection: http.client.HTTPConnection | None = None
        self.acknowledged = 0
        self.resent = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Report one thing after the other."""
        try:
            with self.log.open("ab") as log:
                while not self._stop_now.is_set():
                    log.write(b"".join(f"{line}\n".encode() for line in self.report()))
                    log.flush()
                    os.fsync(log.fileno())
                    self.acknowledged += 1
        except BaseException as error:  # noqa: BLE001 - kept for whoever joins the thread
            self.failure = error
        finally:
            self._drop()

    def report(self) -> list[str]:
        """Send one report until it is answered; give the lines to remember."""
        raise NotImplementedError

    def insist(
        self, path: str, body: Any, headers: dict[str, str], final: frozenset[int]
    ) -> tuple[int, bytes]:
        """POST until an answer with a final status comes; give it.

        Raises:
            AssertionError: a status that is neither final nor one to repeat at.
        """
        text = json.dumps(body).encode()
        while True:
            try:
                status, answer = self._once(path, text, headers)
            except (OSError, http.client.HTTPException):
                status, answer = 503, b""
                self._drop()
            if status in final:
                return status, answer
            assert status in UNSURE or _still_running(status, answer), (status, answer[:500])
            self.resent += 1
            time.sleep(PAUSE_S)

    def _once(self, path: str, text: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                "127.0.0.1", self._port, timeout=TIMEOUT_S
            )
        self._connection.request("POST", path, text, headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def _still_running(status: int, answer: bytes) -> bool:
    """Tell whether an earlier attempt with the same key has not ended yet."""
    return status == 409 and b"idempotency" in answer


class Reporter(Client):
    """Reports events of one type, ``batch`` at a time, and remembers their ids."""

    def __init__(
        self, port: int, log: Path, stop: threading.Event, *, key: str, kind: str, batch: int
    ) -> None:
        super().__init__(port, log, stop)
        self._key, self._kind, self._batch = key, kind, batch

    def report(self) -> list[str]:
        """Send new events until they are acknowledged."""
        ids = [uuid.uuid4().hex for _ in range(self._batch)]
        now = datetime.now(UTC).isoformat()
        facts = {"source": "drill", "specversion": "1.0", "type": self._kind, "subject": "s"}
        events = [facts | {"id": one, "time": now, "data": {"value": 1}} for one in ids]
        single = self._batch == 1
        kind = "cloudevents+json" if single else "cloudevents-batch+json"
        headers = {
            "Authorization": f"Bearer {self._key}",
            "Content-Type": f"application/{kind}",
        }
        body = events[0] if single else events
        self.insist("/api/v1/events", body, headers, frozenset({204}))
        return ids


class Consumer(Client):
    """Consumes of metered entitlements of some customers; remembers customer, quantity, outcome."""

    FEATURE = "processed_units"

    def __init__(
        self, port: int, log: Path, stop: threading.Event, *, key: str, customers: list[str]
    ) -> None:
        super().__init__(port, log, stop)
        self._key, self._customers = key, customers

    def report(self) -> list[str]:
        """Consume once, with an idempotency key, until the outcome is known."""
        customer = random.choice(self._customers)  # noqa: S311 - load, not secrets
        quantity = random.randint(1, LARGEST_USE)  # noqa: S311 - a drill, no secret
        headers = {
            "Authorization": f"Bearer {self._key}",
            "Content-Type": "application/json",
            "Idempotency-Key": uuid.uuid4().hex,
        }
        path = f"/api/v1/customers/{customer}/entitlements/{self.FEATURE}/consume"
        while True:
            status, answer = self.insist(
                path, {"quantity": quantity}, headers, frozenset({200, 409})
            )
            if not _still_running(status, answer):
                break
            time.sleep(PAUSE_S)
        if status == 409:
            assert json.loads(answer)["code"] == "quota_exceeded", answer
        return [f"{customer} {quantity} {status}"]
