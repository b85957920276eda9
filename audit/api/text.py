"""Texts and bytes that are no JSON."""

from collections.abc import Mapping
from typing import Any

from rest_framework.renderers import BaseRenderer

from kernel.http.render import dumps


class TextRenderer(BaseRenderer):
    """Renders a text, such as a signed note or an offline proof."""

    media_type = "text/plain"
    format = "txt"
    charset = "utf-8"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Encode the text; a problem document is JSON whatever was asked for."""
        return dumps(data) if isinstance(data, Mapping) else str(data).encode()


class BytesRenderer(BaseRenderer):
    """Renders bytes: tiles and entry bundles."""

    media_type = "application/octet-stream"
    format = "bin"
    charset = None
    render_style = "binary"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the bytes as they are; a problem document is JSON whatever was asked for."""
        return dumps(data) if isinstance(data, Mapping) else bytes(data)
