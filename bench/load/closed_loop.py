"""The closed loop: wrk keeps every connection busy; the rate it reaches is the server's capacity at
that concurrency."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.load.wire import UNIQUE, Request

RESULT_MARK = "@@result@@"
_SCRIPT = Path(__file__).with_name("workload.lua").read_text(encoding="utf-8")


class WrkMissingError(RuntimeError):
    """wrk is not installed; on Debian: `apt-get install wrk`."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What wrk measured: completed requests, failures, seconds, latency in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p95: float
    p99: float
    max: float
    refused: int
    broken: int

    @property
    def per_second(self) -> float:
        """Requests answered below status 400 in one second."""
        return (self.requests - self.refused) / self.seconds


def script(requests: tuple[Request, ...], run: str) -> str:
    """The Lua script that sends the requests in turn; `run` begins every unique text."""
    rows = ",\n".join(
        f"{{method={_lua(request.method)}, path={_lua(request.path)}, "
        f"headers={_lua_table(request.headers)}, "
        f"body={_lua(request.body) if request.body else 'nil'}}}"
        for request in requests
    )
    head = f"local run = {_lua(run)}\nlocal mark = {_lua(UNIQUE)}\n"
    return f"{head}local workload = {{\n{rows}\n}}\n{_SCRIPT}"


def run(
    url: str, requests: tuple[Request, ...], *, connections: int, seconds: float, run_id: str
) -> Rate:
    """Send the requests in turn over `connections` kept-alive connections for so many seconds (at
    least 1).

    Raises:
        WrkMissingError: there is no wrk on this machine.
        RuntimeError: wrk failed; its output is the message.
    """
    binary = shutil.which("wrk")
    if binary is None:
        raise WrkMissingError("wrk is needed for the closed loop: apt-get install wrk")
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script(requests, run_id))
        file.flush()
        command = [
            binary, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s",
            "--timeout", "10s", "-s", file.name, url,
        ]  # fmt: skip
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode or RESULT_MARK not in finished.stdout:
        raise RuntimeError(f"wrk failed: {finished.stdout[-500:]}{finished.stderr[-500:]}")
    return parse(finished.stdout)


def parse(output: str) -> Rate:
    """Read what the script printed at the end of the run."""
    return Rate(**json.loads(output.rpartition(RESULT_MARK)[2]))


def _lua(text: str) -> str:
    """A Lua string literal; every byte outside plain letters, digits and blanks is escaped by its
    number."""
    escaped = "".join(
        chr(byte) if (byte < 0x80 and chr(byte).isalnum()) or byte == 0x20 else f"\\{byte:03d}"
        for byte in text.encode()
    )
    return f'"{escaped}"'


def _lua_table(pairs: dict[str, str]) -> str:
    rows = ", ".join(f"[{_lua(key)}]={_lua(value)}" for key, value in pairs.items())
    return f"{{{rows}}}"
