"""NDJSON of any length: read, taken and answered piece by piece, in memory that does not grow."""

from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import IO, Any, Final, cast

from billing.usage.cloudevents import LINES, LONGEST_LINE, decode_lines
from billing.usage.services.ingest import Reporter
from billing.usage.services.lines import Result, ingest_lines
from kernel.http.hot import PIECE, HotRequest, LeanResponse
from kernel.http.render import dumps

AT_ONCE: Final = 1_000
"""Lines of one commit."""
WEIGHT: Final = 1024 * 1024
"""Bytes after which a commit is due with fewer lines."""
_IN_MEMORY: Final = 256 * 1024


def take_lines(request: HotRequest, reporter: Reporter) -> LeanResponse:
    """Take a body of lines; answer a line for each, in order.

    Raises:
        kernel.errors.Unavailable: the database does not answer. What was committed before stays;
            sending all again is safe.
    """
    answer = LeanResponse(content_type=LINES)
    spooled = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - whoever sends it closes it
    try:
        place = 0
        for lines in _batches(request):
            results = ingest_lines(decode_lines(lines), **reporter)
            spooled.write(_told(results, place))
            place += len(results)
        answer.headers["Content-Length"] = str(spooled.tell())
        spooled.seek(0)
    except BaseException:
        spooled.close()
        raise
    answer.file = cast(IO[bytes], spooled)
    return answer


def _batches(request: HotRequest) -> Iterator[list[bytes]]:
    """Gather lines for a commit each."""
    gathered: list[bytes] = []
    weight = 0
    for line in _lines(request):
        gathered.append(line)
        weight += len(line)
        if len(gathered) == AT_ONCE or weight >= WEIGHT:
            yield gathered
            gathered, weight = [], 0
    if gathered:
        yield gathered


def _lines(request: HotRequest) -> Iterator[bytes]:
    """Cut the body into lines. Of one that is too long, enough is given to see that it is."""
    rest = b""
    while piece := request.read(PIECE):
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
        # What is cut off of a line that is too long already cannot make it shorter.
        rest = rest[:LONGEST_LINE]
    if rest:
        yield rest


def _told(results: list[Result], first: int) -> bytes:
    """Write one JSON line a result."""
    lines = []
    for place, result in enumerate(results, start=first):
        line: dict[str, Any] = {"line": place, "outcome": result.outcome}
        if result.id:
            line["id"] = result.id
        if result.faults:
            line["errors"] = [
                {"code": fault.code, "message": fault.message} for fault in result.faults
            ]
        lines.append(dumps(line))
    return b"\n".join([*lines, b""]) if lines else b""
