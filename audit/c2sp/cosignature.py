"""Cosignatures of witnesses (C2SP tlog-cosignature, ``cosignature/v1``, Ed25519, type 0x04)."""

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from audit.c2sp.errors import FormatError
from audit.c2sp.mldsa import MLDSA44, Mldsa44Verifier
from audit.c2sp.note import Verifier, key_id, split_vkey

COSIGNATURE: Final = 0x04
_TIME_SIZE: Final = 8
_SIGNATURE_SIZE: Final = 64


@dataclass(frozen=True, slots=True)
class CosignatureVerifier:
    """A witness's Ed25519 key: it says when it saw a checkpoint that grew from those before."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name ‖ 0x0A ‖ 0x04 ‖ public key)."""
        return key_id(self.name, COSIGNATURE, self.public)

    def verifies(self, text: str, signature: bytes) -> bool:
        """Tell whether time and signature cover the checkpoint in the text."""
        if len(signature) != _TIME_SIZE + _SIGNATURE_SIZE:
            return False
        moment = int.from_bytes(signature[:_TIME_SIZE], "big")
        message = f"cosignature/v1\ntime {moment}\n{text}".encode()
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature[_TIME_SIZE:], message)
        except InvalidSignature:
            return False
        return True


def witness_verifier(vkey: str) -> Verifier:
    """Read a witness's key in its text form.

    Raises:
        FormatError: it is no key, or of a type that no witness signs with.
    """
    name, kind, public = split_vkey(vkey)
    if kind == COSIGNATURE:
        return CosignatureVerifier(name, public)
    if kind == MLDSA44:
        return Mldsa44Verifier(name, public)
    raise FormatError(f"a witness does not sign with keys of type {kind}")
