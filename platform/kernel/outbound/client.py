"""HTTP to addresses that customers give. No redirects, no proxies, no cookies, no retries."""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from kernel.outbound.connection import dialled
from kernel.outbound.deadline import Deadline
from kernel.outbound.errors import Fault, OutboundError
from kernel.outbound.targets import Target

SECONDS: Final = 30.0
LARGEST_ANSWER: Final = 64 * 1024
AGENT: Final = "Innkeeper/1"
"""Without the letters ``bot``: some receivers answer those with nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: header names in lower case, the body up to 64 KiB."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def succeeded(self) -> bool:
        """Tell whether the status is 2xx; a redirect is a failure."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


def request(
    target: Target,
    *,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    method: str = "POST",
    seconds: float = SECONDS,
    largest: int = LARGEST_ANSWER,
) -> Answer:
    """Send one request and read its answer, all within ``seconds``. Call it in no transaction.

    Raises:
        OutboundError: there is no answer; whether the other side acted on the request is unknown.
    """
    deadline = Deadline(seconds)
    with dialled(target, deadline) as connected:
        link = http.client.HTTPConnection(target.host, target.port)
        link.auto_open = 0  # never dials by itself: that address nobody has judged
        link.sock = connected
        try:
            sent = {"Host": target.authority, "User-Agent": AGENT, "Connection": "close"}
            link.request(method, target.path, body, {**sent, **(headers or {})})
            return _read(link, largest, deadline)
        except (http.client.HTTPException, ValueError) as error:
            fault = Fault.TIMEOUT if deadline.passed else Fault.MALFORMED
            raise OutboundError(fault) from error
        finally:
            link.close()


def _read(link: http.client.HTTPConnection, largest: int, deadline: Deadline) -> Answer:
    with link.getresponse() as response:
        body = response.read(largest + 1)
        if deadline.passed:
            raise OutboundError(Fault.TIMEOUT)
        if len(body) > largest:
            raise OutboundError(Fault.TOO_LARGE)
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, body)
