"""Peppers: the server-side secrets under which key MACs are made, outside the database.

``INNKEEPER_PEPPERS`` (``1:<base64>,2:<base64>``) wins; else ``<home>/keys/peppers.json`` (0600),
made at the first start. The highest version signs new keys; all of them verify during a rotation.
"""

import base64
import json
import os
import secrets
from functools import cache
from pathlib import Path

from django.conf import settings

from kernel import keyfile

_BYTES = 32


class PepperError(RuntimeError):
    """The peppers cannot be read: without them no key can be verified, so nothing starts."""


@cache
def active() -> dict[int, bytes]:
    """Give the peppers by version. Read once a process.

    Raises:
        PepperError: a malformed setting or file.
    """
    text = os.environ.get("INNKEEPER_PEPPERS", "")
    if text:
        return _decode(dict(part.split(":", 1) for part in text.split(",")))
    path = Path(settings.INNKEEPER_HOME) / "keys" / "peppers.json"
    return _decode(json.loads(keyfile.kept(path, _first)))


def newest() -> tuple[int, bytes]:
    """Give the version and the pepper for new keys."""
    version = max(active())
    return version, active()[version]


def _decode(pairs: dict[str, str]) -> dict[int, bytes]:
    try:
        peppers = {int(k): base64.b64decode(v, validate=True) for k, v in pairs.items()}
    except ValueError as error:
        raise PepperError("peppers are pairs of a version and base64 bytes") from error
    if not peppers or any(len(value) < _BYTES for value in peppers.values()):
        raise PepperError(f"a pepper has {_BYTES} bytes at least, and there is one at least")
    return peppers


def _first() -> bytes:
    return json.dumps({"1": base64.b64encode(secrets.token_bytes(_BYTES)).decode()}).encode()
