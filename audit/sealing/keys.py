"""Signing keys: files under INNKEEPER_HOME/keys, mode 0600, never in the database.

One Ed25519 key, and one ML-DSA-44 key beside it, sign for every log of the instance under the log's
own name. Rotation keeps the former public keys in a history, so that older notes stay verifiable.
"""

import hmac
import json
import os
import secrets
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from time import time
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings

from audit.c2sp.mldsa import Mldsa44Signer, Mldsa44Verifier
from audit.c2sp.note import Ed25519Signer, Ed25519Verifier, Signer
from kernel.files import locked, write_private

_SEED_SIZE: Final = 32
_FILE: Final = "audit-signing.json"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The present seeds, the alias secret of the heads log, and the public keys of the past."""

    ed25519: bytes
    mldsa44: bytes
    alias: bytes
    former: tuple[tuple[bytes, bytes], ...] = ()

    def signers(self, origin: str) -> list[Signer]:
        """Return the keys that sign checkpoints of the log `origin` now."""
        return [
            Ed25519Signer(origin, Ed25519PrivateKey.from_private_bytes(self.ed25519)),
            Mldsa44Signer(origin, MLDSA44PrivateKey.from_seed_bytes(self.mldsa44), int(time())),
        ]

    def verifiers(self, origin: str) -> list[tuple[Ed25519Verifier, Mldsa44Verifier]]:
        """Return the pairs of keys that ever signed, newest first."""
        pairs = [_public(self.ed25519, self.mldsa44), *self.former]
        return [(Ed25519Verifier(origin, ed), Mldsa44Verifier(origin, ml)) for ed, ml in pairs]

    def log_alias(self, log_id: UUID) -> str:
        """Return the name under which the heads log speaks of a log: it tells outsiders nothing."""
        return hmac.digest(self.alias, log_id.bytes, sha256).hex()


def ring() -> KeyRing:
    """Read the key ring, making it at the first use."""
    path = _path()
    if not path.exists():
        with locked(path):
            if not path.exists():
                _write(path, KeyRing(_seed(), _seed(), _seed()))
    return _read(path)


def rotate() -> KeyRing:
    """Replace both signing keys; the former public keys and the alias secret stay."""
    path = _path()
    ring()
    with locked(path):
        old = _read(path)
        new = KeyRing(
            _seed(),
            _seed(),
            old.alias,
            (_public(old.ed25519, old.mldsa44), *old.former),
        )
        _write(path, new)
    return new


def _seed() -> bytes:
    return secrets.token_bytes(_SEED_SIZE)


def _path() -> Path:
    return Path(settings.INNKEEPER_HOME) / "keys" / _FILE


@lru_cache(maxsize=8)
def _public(ed25519: bytes, mldsa44: bytes) -> tuple[bytes, bytes]:
    ed = Ed25519PrivateKey.from_private_bytes(ed25519).public_key()
    ml = MLDSA44PrivateKey.from_seed_bytes(mldsa44).public_key()
    return ed.public_bytes(Encoding.Raw, PublicFormat.Raw), ml.public_bytes_raw()


def _read(path: Path) -> KeyRing:
    raw = json.loads(path.read_text())
    former = tuple((bytes.fromhex(ed), bytes.fromhex(ml)) for ed, ml in raw["former"])
    return KeyRing(
        bytes.fromhex(raw["ed25519_seed"]),
        bytes.fromhex(raw["mldsa44_seed"]),
        bytes.fromhex(raw["alias"]),
        former,
    )


def _write(path: Path, keys: KeyRing) -> None:
    document = {
        "ed25519_seed": keys.ed25519.hex(),
        "mldsa44_seed": keys.mldsa44.hex(),
        "alias": keys.alias.hex(),
        "former": [[ed.hex(), ml.hex()] for ed, ml in keys.former],
    }
    write_private(path, json.dumps(document, indent=1) + os.linesep)
