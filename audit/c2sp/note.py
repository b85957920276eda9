"""Signed notes (C2SP signed-note) with Ed25519 (type 0x01) and ML-DSA-44 (type 0x06) signatures."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from audit.c2sp.errors import FormatError

ED25519: Final = 0x01
KEY_ID_SIZE: Final = 4
_DASH: Final = "— "


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: the key's name, its 4-byte id and the signature bytes."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """Return the line as it stands in the note, with its newline."""
        encoded = base64.b64encode(self.key_id + self.signature).decode()
        return f"{_DASH}{self.name} {encoded}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends with a newline, and its signatures."""

    text: str
    signatures: tuple[Signature, ...]

    def encode(self) -> str:
        """Return the note as it is stored and sent."""
        return self.text + "\n" + "".join(entry.line() for entry in self.signatures)


class Verifier(Protocol):
    """A public key that signs notes under a name."""

    @property
    def name(self) -> str:
        """The key's name; for a log it equals the origin."""

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that tell keys of one name apart."""

    def verifies(self, text: str, signature: bytes) -> bool:
        """Tell whether the signature covers the text."""


class Signer(Protocol):
    """A private key that signs notes under a name."""

    def sign(self, text: str) -> Signature:
        """Sign the text, its last newline included."""


@dataclass(frozen=True, slots=True)
class Ed25519Verifier:
    """An Ed25519 note key, public half."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The first 4 bytes of SHA-256(name ‖ 0x0A ‖ type ‖ public key)."""
        return key_id(self.name, ED25519, self.public)

    @property
    def vkey(self) -> str:
        """The key in the text form that C2SP tools read."""
        return vkey(self.name, ED25519, self.public)

    def verifies(self, text: str, signature: bytes) -> bool:
        """Tell whether the signature covers the text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Ed25519Signer:
    """An Ed25519 note key, private half."""

    name: str
    private: Ed25519PrivateKey

    @property
    def verifier(self) -> Ed25519Verifier:
        """The public half."""
        raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return Ed25519Verifier(self.name, raw)

    def sign(self, text: str) -> Signature:
        """Sign the text, its last newline included."""
        return Signature(self.name, self.verifier.key_id, self.private.sign(text.encode()))


def key_id(name: str, kind: int, public: bytes) -> bytes:
    """Return the 4-byte id of a note key.

    Raises:
        FormatError: for a name that the format cannot carry.
    """
    if not name or "+" in name or any(character.isspace() for character in name):
        raise FormatError(f"{name!r} cannot name a note key")
    return sha256(name.encode() + b"\n" + bytes([kind]) + public).digest()[:KEY_ID_SIZE]


def vkey(name: str, kind: int, public: bytes) -> str:
    """Return ``name+hex(key id)+base64(type ‖ public key)``."""
    encoded = base64.b64encode(bytes([kind]) + public).decode()
    return f"{name}+{key_id(name, kind, public).hex()}+{encoded}"


def split_vkey(text: str) -> tuple[str, int, bytes]:
    """Return name, type and public key of a vkey.

    Raises:
        FormatError: when the text is no vkey or its id does not fit its key.
    """
    name, _, rest = text.strip().partition("+")
    identifier, _, encoded = rest.partition("+")
    raw = decode_base64(encoded)
    if not raw or key_id(name, raw[0], raw[1:]).hex() != identifier:
        raise FormatError("the key id does not fit the key")
    return name, raw[0], raw[1:]


def parse(text: str) -> Note:
    """Read a signed note. Signatures are read, not checked: see :func:`signed_by`.

    Raises:
        FormatError: unless it is a text ending in a newline, an empty line and signature lines.
    """
    if any(ord(character) < ord(" ") and character != "\n" for character in text):
        raise FormatError("a note holds a control character")
    body, separator, tail = text.rpartition("\n\n")
    if not separator or not tail.endswith("\n"):
        raise FormatError("a note needs an empty line and signature lines")
    return Note(body + "\n", tuple(_parse_line(line) for line in tail[:-1].split("\n")))


def _parse_line(line: str) -> Signature:
    name, separator, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not separator or not name:
        raise FormatError("not a signature line")
    raw = decode_base64(encoded)
    if len(raw) <= KEY_ID_SIZE:
        raise FormatError("a signature line holds no signature")
    return Signature(name, raw[:KEY_ID_SIZE], raw[KEY_ID_SIZE:])


def signed_by(note: Note, verifier: Verifier) -> bool:
    """Tell whether the note carries a good signature of this key.

    Lines of unknown keys are ignored, as the specification asks; a bad signature under the key's
    own name and id makes the whole note bad.
    """
    own = [
        entry
        for entry in note.signatures
        if entry.name == verifier.name and entry.key_id == verifier.key_id
    ]
    return bool(own) and all(verifier.verifies(note.text, entry.signature) for entry in own)


def sign(text: str, signers: Sequence[Signer]) -> Note:
    """Sign a text with every given key."""
    return Note(text, tuple(signer.sign(text) for signer in signers))


def decode_base64(text: str) -> bytes:
    """Read padded standard base64 strictly.

    Raises:
        FormatError: on any other form, also on unused bits that are not zero.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError("not standard base64") from error
    if base64.b64encode(raw).decode() != text:
        raise FormatError("base64 in a form of its own")
    return raw
