"""The C2SP read interface: checkpoints, tiles and entry bundles, byte for byte."""

from typing import Any
from uuid import UUID

from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.response import Response

from audit.anchoring import evidence
from audit.api.text import BytesRenderer, TextRenderer
from audit.c2sp.errors import FormatError
from audit.c2sp.tiles import FULL, TilePath, encode_entries, parse_tile_path, tile_width
from audit.models import PLATFORM_TENANT, Head
from audit.permissions import READ
from audit.queries import logs, notes, retention
from audit.sealing.tiles import DatabaseTiles
from audit.tree.proofs import Tile
from kernel.authz import PUBLIC, Access, Scope
from kernel.errors import DomainError, Gone, NotFound, Unavailable
from kernel.http.endpoint import Endpoint
from kernel.tenancy import tenant_context

# A full or partial tile never changes. A shared cache may keep only what is nobody's.
_PRIVATE = "private, max-age=31536000, immutable"
_SHARED = "public, max-age=31536000, immutable"
_FRESH = "no-cache"


class LogCheckpoint(Endpoint):
    """The newest checkpoint of one of the tenant's logs."""

    access = {"GET": Access(READ.name, Scope.TENANT)}
    renderer_classes = (TextRenderer,)

    @extend_schema(operation_id="audit_tlog_checkpoint", responses={(200, "text/plain"): str})
    def get(self, request: Any, log: str) -> Response:
        """Read the signed note."""
        signed = notes.of_log(log_id_of(log))
        return Response(signed.published.note, headers={"Cache-Control": _FRESH})


class LogTile(Endpoint):
    """One tile of one of the tenant's logs."""

    access = {"GET": Access(READ.name, Scope.TENANT)}
    renderer_classes = (BytesRenderer,)

    @extend_schema(
        operation_id="audit_tlog_tile",
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Any, log: str, tile: str) -> Response:
        """Read hashes of the tree, or the hashed bytes of entries."""
        head, wanted = find(log), parse(tile)
        width = _width(head, wanted)
        if wanted.level is not None:
            return Response(_hashes(head, wanted), headers={"Cache-Control": _PRIVATE})
        start = wanted.index * FULL
        found = [leaf for _, _, leaf in logs.entries(head.log_id, start, start + width)]
        if len(found) != width:
            raise _lacking(head, range(start, start + width))
        return Response(encode_entries(found), headers={"Cache-Control": _PRIVATE})


class HeadsCheckpoint(Endpoint):
    """The newest checkpoint of the heads log."""

    access = {"GET": PUBLIC}
    renderer_classes = (TextRenderer,)

    @extend_schema(operation_id="audit_heads_checkpoint", responses={(200, "text/plain"): str})
    def get(self, request: Any) -> HttpResponseBase:
        """Read the newest note that fixes the states of all logs, cosigned by its witnesses."""
        with tenant_context(PLATFORM_TENANT):
            log_id = logs.heads_log().log_id
            published = logs.published(log_id, at_least=1)
            if published is None:
                raise NotFound
            note = evidence.cosigned(log_id, published.size, published.note)
        return Response(note, headers={"Cache-Control": _FRESH})


class HeadsTile(Endpoint):
    """One tile of the heads log."""

    access = {"GET": PUBLIC}
    renderer_classes = (BytesRenderer,)

    @extend_schema(
        operation_id="audit_heads_tile",
        responses={(200, "application/octet-stream"): OpenApiTypes.BINARY},
    )
    def get(self, request: Any, tile: str) -> HttpResponseBase:
        """Read hashes of the heads log, or its entries."""
        wanted = parse(tile)
        with tenant_context(PLATFORM_TENANT):
            head = logs.heads_log()
            width = _width(head, wanted)
            if wanted.level is not None:
                return Response(_hashes(head, wanted), headers={"Cache-Control": _SHARED})
        start = wanted.index * FULL
        bundle = encode_entries(logs.heads_entries(head.log_id, start, start + width))
        return Response(bundle, headers={"Cache-Control": _SHARED})


def find(log: str) -> Head:
    """Return the log of a route.

    Raises:
        kernel.errors.NotFound: the context may not see it, or there is none.
    """
    return logs.find(log_id_of(log))


def log_id_of(log: str) -> UUID:
    """Read the log's id of a route.

    Raises:
        kernel.errors.NotFound: it is none.
    """
    try:
        return UUID(hex=log)
    except ValueError as error:
        raise NotFound from error


def parse(tile: str) -> TilePath:
    """Read the tile of a route.

    Raises:
        kernel.errors.NotFound: it is spelled in another way than the specification's.
    """
    try:
        return parse_tile_path(tile)
    except FormatError as error:
        raise NotFound from error


def _lacking(head: Head, places: range) -> DomainError:
    """Tell entries that were let go by retention from those that should be there."""
    if retention.may_lack(head.log_id, places):
        return Gone("Retention has let entries of this bundle go.", code="audit_entries_pruned")
    return Unavailable("The stored log lacks entries; see audit_verify.")


def _width(head: Head, wanted: TilePath) -> int:
    """Return the tile's width; a tile the log does not reach is absent."""
    if tile_width(head.size, wanted.level, wanted.index) < wanted.width:
        raise NotFound
    return wanted.width


def _hashes(head: Head, wanted: TilePath) -> bytes:
    tile = Tile(wanted.level or 0, wanted.index, wanted.width)
    found = DatabaseTiles(head.log_id).read([tile]).get(tile)
    if found is None:
        raise Unavailable("The stored log lacks hashes; see audit_verify.")
    return b"".join(found)
