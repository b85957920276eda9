"""JSON in and out with orjson (:mod:`kernel.json_bytes`)."""

from collections.abc import Mapping
from typing import IO, Any

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer

from kernel.http.soundness import check_json
from kernel.json_bytes import dumps

__all__ = ["OrjsonParser", "OrjsonRenderer", "dumps"]


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
