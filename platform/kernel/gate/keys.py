"""API keys: format, checksum, minting, and the MACs that the database stores.

``ik[pt]_(live|test)_<12 public id><43 secret + 6 CRC32>`` in Base62, after GitHub's token format of
2021: the prefix names the kind, the checksum turns away typos and floods without a query, the
secret has 256 bits. At rest there is only HMAC-SHA-256(pepper, secret) with the pepper's version.
"""

import hmac
import re
import secrets
import zlib
from dataclasses import dataclass
from functools import lru_cache

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 12
_SECRET_LENGTH = 43
_CHECKSUM_LENGTH = 6
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
KEY_EXPRESSION = r"ik[pt]_(live|test)_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}"
_KEY = re.compile(
    rf"(?P<prefix>ik[pt]_(?:live|test))_(?P<id>[0-9A-Za-z]{{{_ID_LENGTH}}})_"
    rf"(?P<secret>[0-9A-Za-z]{{{_SECRET_LENGTH}}})(?P<sum>[0-9A-Za-z]{{{_CHECKSUM_LENGTH}}})"
)
TENANT, PLATFORM = "ikt", "ikp"


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A new key: ``text`` is shown once and stored nowhere; the rest goes to the database."""

    text: str
    prefix: str
    public_id: str
    secret: str


def mint(kind: str, *, test: bool = False) -> MintedKey:
    """Make a key of kind :data:`TENANT` or :data:`PLATFORM`."""
    prefix = f"{kind}_{'test' if test else 'live'}"
    public_id = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))
    secret = _base62(secrets.randbits(256), _SECRET_LENGTH)
    body = f"{prefix}_{public_id}_{secret}"
    return MintedKey(body + checksum(body), prefix, public_id, secret)


def checksum(body: str) -> str:
    """Write the CRC32 of ``body`` as six Base62 characters."""
    rest, low = divmod(zlib.crc32(body.encode()), 62 * 62)
    high, middle = divmod(rest, 62 * 62)
    return _PAIRS[high] + _PAIRS[middle] + _PAIRS[low]


def parse(text: str) -> tuple[str, str] | None:
    """Split a key into public id and secret; None for anything that is not a whole, intact key."""
    match = _KEY.fullmatch(text)
    if match is None or checksum(text[:-_CHECKSUM_LENGTH]) != match["sum"]:
        return None
    return match["id"], match["secret"]


def macs(secret: str, peppers: dict[int, bytes]) -> list[bytes]:
    """Compute the MAC under each active pepper, newest first."""
    return [_mac(peppers[version], secret.encode()) for version in sorted(peppers, reverse=True)]


def _mac(pepper: bytes, message: bytes) -> bytes:
    mac = _keyed(pepper).copy()
    mac.update(message)
    return mac.digest()


@lru_cache(maxsize=8)
def _keyed(pepper: bytes) -> hmac.HMAC:
    """Prepare the MAC of a pepper once: copying it costs half of making it (measured)."""
    return hmac.new(pepper, None, "sha256")


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
