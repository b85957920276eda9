"""A log as lines of JSON: a manifest that fixes what follows, then every place in order.

Whoever hashes the ``leaf`` texts (SHA-256 over 0x00 and the UTF-8 bytes), builds the RFC 6962 tree
and finds the root of the manifest has shown that nothing is missing and nothing is foreign.
"""

from base64 import b64encode
from collections.abc import Iterator
from typing import Final
from uuid import UUID

from audit.models import Head
from audit.queries import logs
from audit.queries.logs import Published
from kernel.http.render import dumps
from kernel.tenancy import tenant_context

_BATCH: Final = 500
Place = tuple[int, UUID, bytes]
"""Leaf index, entry id and hashed bytes."""


def opening(head: Head, published: Published) -> list[Place]:
    """Read the first places: small logs need no second look at the database while streaming."""
    return logs.entries(head.log_id, 0, min(_BATCH, published.size))


def lines(head: Head, published: Published, tenant_id: UUID, first: list[Place]) -> Iterator[bytes]:
    """Give the export line by line; memory stays bounded by one batch.

    It enters the tenant by itself for each batch but the ``first``, which :func:`opening` read: a
    response is streamed after its view has ended.
    """
    manifest = {
        "manifest": 1,
        "log": head.log_id.hex,
        "origin": head.origin,
        "first": 0,
        "size": published.size,
        "root": b64encode(published.root).decode(),
        "checkpoint": published.note,
    }
    yield dumps(manifest) + b"\n"
    yield from map(_line, first)
    for start in range(_BATCH, published.size, _BATCH):
        with tenant_context(tenant_id):
            found = logs.entries(head.log_id, start, min(start + _BATCH, published.size))
        yield from map(_line, found)


def _line(place: Place) -> bytes:
    index, _, leaf = place
    return dumps({"leaf_index": index, "leaf": leaf.decode()}) + b"\n"
