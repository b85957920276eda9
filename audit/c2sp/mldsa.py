"""ML-DSA-44 signatures of checkpoints (C2SP tlog-cosignature, key type 0x06)."""

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from audit.c2sp.checkpoint import Checkpoint, parse_checkpoint
from audit.c2sp.note import Signature, key_id, vkey

MLDSA44: Final = 0x06
SIGNATURE_SIZE: Final = 2_420
_LABEL: Final = b"subtree/v1\n\x00"
_TIME_SIZE: Final = 8


@dataclass(frozen=True, slots=True)
class Mldsa44Verifier:
    """An ML-DSA-44 note key, public half."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name ‖ 0x0A ‖ type ‖ public key)."""
        return key_id(self.name, MLDSA44, self.public)

    @property
    def vkey(self) -> str:
        """The key in the text form that C2SP tools read."""
        return vkey(self.name, MLDSA44, self.public)

    def verifies(self, text: str, signature: bytes) -> bool:
        """Tell whether timestamp and signature cover the checkpoint in the text."""
        if len(signature) != _TIME_SIZE + SIGNATURE_SIZE:
            return False
        moment, raw = int.from_bytes(signature[:_TIME_SIZE], "big"), signature[_TIME_SIZE:]
        try:
            MLDSA44PublicKey.from_public_bytes(self.public).verify(
                raw, _message(self.name, moment, parse_checkpoint(text))
            )
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Mldsa44Signer:
    """An ML-DSA-44 note key, private half. `now` is the signature's time in Unix seconds."""

    name: str
    private: MLDSA44PrivateKey
    now: int

    @property
    def verifier(self) -> Mldsa44Verifier:
        """The public half."""
        return Mldsa44Verifier(self.name, self.private.public_key().public_bytes_raw())

    def sign(self, text: str) -> Signature:
        """Sign the checkpoint in the text."""
        raw = self.private.sign(_message(self.name, self.now, parse_checkpoint(text)))
        stamped = self.now.to_bytes(_TIME_SIZE, "big") + raw
        return Signature(self.name, self.verifier.key_id, stamped)


def _message(name: str, moment: int, checkpoint: Checkpoint) -> bytes:
    """Return what is signed: label, name, time, origin, start, end and root (tlog-cosignature)."""
    return b"".join(
        (
            _LABEL,
            _prefixed(name),
            moment.to_bytes(_TIME_SIZE, "big"),
            _prefixed(checkpoint.origin),
            (0).to_bytes(_TIME_SIZE, "big"),
            checkpoint.size.to_bytes(_TIME_SIZE, "big"),
            checkpoint.root,
        )
    )


def _prefixed(text: str) -> bytes:
    raw = text.encode()
    return bytes([len(raw)]) + raw
