"""JSON in and out with orjson: datetimes as RFC 3339 UTC, Decimals as strings."""

from collections.abc import Mapping
from decimal import Decimal
from typing import IO, Any

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from kernel.http.soundness import check_json

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def dumps(value: Any) -> bytes:
    """Encode ``value`` as JSON bytes."""
    return orjson.dumps(value, default=_other, option=_OPTIONS)


def _other(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, frozenset | set | tuple):
        return list(value)
    return str(value)


class OrjsonRenderer(BaseRenderer):
    """Render answers as JSON."""

    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "binary"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Encode the answer; nothing for answers without a body."""
        return b"" if data is None else dumps(data)


class OrjsonParser(BaseParser):
    """Parse JSON bodies strictly: UTF-8, no NaN, no duplicate meaning."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Decode the body.

        Raises:
            rest_framework.exceptions.ParseError: it is no JSON.
            kernel.errors.Invalid: it holds what nothing can keep, or is nested too deep.
        """
        body = stream.read()
        try:
            read = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is no JSON: {error}") from error
        check_json(body, read)
        return read
