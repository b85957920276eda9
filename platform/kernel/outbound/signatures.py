"""Signatures of Standard Webhooks 1.0.0, scheme ``v1``: HMAC-SHA256 under a shared secret."""

import base64
import secrets as randomness
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from standardwebhooks import Webhook

PREFIX: Final = "whsec_"
_SECRET_BYTES: Final = 24  # a multiple of three needs no padding, on which libraries differ


def new_secret() -> str:
    """Make a secret in the form that receivers' libraries take."""
    return PREFIX + base64.b64encode(randomness.token_bytes(_SECRET_BYTES)).decode()


def signed(message_id: str, body: str, secrets: Sequence[str]) -> dict[str, str]:
    """Give the headers of one attempt: the same id at every attempt, the time of this one.

    All live secrets sign, so that a receiver may change its own at any time during a rotation.
    """
    moment = datetime.now(UTC)
    marks = [Webhook(secret).sign(message_id, moment, body) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(marks),
    }
