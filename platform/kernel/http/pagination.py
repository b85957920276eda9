"""Keyset pagination on UUIDv7: newest first, no COUNT, no offset."""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from django.db import models

from kernel.errors import Invalid

M = TypeVar("M", bound=models.Model)
DEFAULT_LIMIT = 50
MAX_LIMIT = 100
_UUID_BYTES = 16
_WHOLE = re.compile(r"[0-9]{1,9}")


def page(
    rows: models.QuerySet[M],
    query: Mapping[str, str],
    render: Callable[[M], dict[str, Any]],
    *,
    key: str = "id",
) -> dict[str, Any]:
    """Give ``{"items": […], "next": cursor or None}`` of a queryset, newest first.

    ``query`` holds ``limit`` (1 to 100, default 50), ``cursor`` (from ``next``) and ``fields``
    (comma-separated names: only these members of each item).

    Raises:
        kernel.errors.Invalid: a parameter is malformed.
    """
    found, following = window(rows, query, key=key)
    return {"items": select(map(render, found), query), "next": following}


def window(
    rows: models.QuerySet[M], query: Mapping[str, str], *, key: str = "id"
) -> tuple[list[M], str | None]:
    """Give the rows of one page, newest first, and the cursor of the next; None on the last.

    For pages whose rows are shown together with facts from elsewhere, read for all of them at once.

    Raises:
        kernel.errors.Invalid: ``limit`` or ``cursor`` is malformed.
    """
    limit = limit_of(query)
    cursor = query.get("cursor")
    if cursor:
        rows = rows.filter(**{f"{key}__lt": decode_cursor(cursor)})
    found = list(rows.order_by(f"-{key}")[: limit + 1])
    following = encode_cursor(getattr(found[limit - 1], key)) if len(found) > limit else None
    return found[:limit], following


def limit_of(query: Mapping[str, str]) -> int:
    """Read ``limit``.

    Raises:
        kernel.errors.Invalid: not a whole number from 1 to 100.
    """
    text = query.get("limit", str(DEFAULT_LIMIT))
    if not _WHOLE.fullmatch(text) or not 1 <= int(text) <= MAX_LIMIT:
        raise Invalid(f"limit is a whole number from 1 to {MAX_LIMIT}.", pointer="/query/limit")
    return int(text)


def select(items: Iterable[dict[str, Any]], query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Keep only the members that ``fields`` names; unknown names are ignored."""
    wanted = [name for name in query.get("fields", "").split(",") if name]
    if not wanted:
        return list(items)
    return [{name: item[name] for name in wanted if name in item} for item in items]


def encode_cursor(value: UUID) -> str:
    """Write an opaque cursor."""
    return base64.urlsafe_b64encode(value.bytes).rstrip(b"=").decode()


def decode_cursor(text: str) -> UUID:
    """Read a cursor.

    Raises:
        kernel.errors.Invalid: it is none of ours.
    """
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _UUID_BYTES:
        raise Invalid("The cursor is not one that this list gave.", pointer="/query/cursor")
    return UUID(bytes=raw)
