"""Encryption of the few things that rest in the database and must be read again.

AES-256-GCM under a key of this installation, kept outside the database
(``INNKEEPER_SEAL_KEY``, or ``<home>/keys/seal``, 0600, made at the first start). The purpose is
bound in as associated data, so that a sealed value cannot be moved elsewhere.
"""

import base64
import os
from functools import cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from kernel import keyfile

_NONCE_BYTES = 12
_KEY_BYTES = 32


class SealError(RuntimeError):
    """The value was not sealed by this installation for this purpose."""


def seal(plain: bytes, purpose: str) -> bytes:
    """Encrypt and authenticate ``plain``: nonce, then ciphertext with tag."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher().encrypt(nonce, plain, purpose.encode())


def open_sealed(sealed: bytes, purpose: str) -> bytes:
    """Decrypt what :func:`seal` made for the same purpose.

    Raises:
        SealError: another key, another purpose, or a changed value.
    """
    nonce, ciphertext = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    try:
        return _cipher().decrypt(nonce, ciphertext, purpose.encode())
    except InvalidTag as error:
        raise SealError("the sealed value does not open") from error


@cache
def _cipher() -> AESGCM:
    text = os.environ.get("INNKEEPER_SEAL_KEY")
    if text:
        return AESGCM(base64.b64decode(text))
    return AESGCM(
        keyfile.kept(
            Path(settings.INNKEEPER_HOME) / "keys" / "seal", lambda: os.urandom(_KEY_BYTES)
        )
    )
