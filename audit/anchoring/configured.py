"""The anchors that the settings name, and the record of their coming and going."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings

from audit.actions import ANCHOR_CONFIGURED, ANCHOR_REMOVED
from audit.anchoring import timestamps, witnesses
from audit.models import PLATFORM_TENANT
from audit.services.recording import record
from audit.streams.models import AnchorState
from kernel import db

TARGET: Final = "audit_anchor"
RFC3161: Final = "rfc3161"
WITNESS: Final = "witness"
WITNESS_EVERY_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Anchor:
    """One anchor. ``take`` anchors (log, note, size seen last) and returns the proof as text."""

    name: str
    kind: str
    every_s: float
    take: Callable[[UUID, str, int], str]


def configured() -> list[Anchor]:
    """Give the anchors of the settings.

    Raises:
        OSError, ValueError: the roots of the authority cannot be read, or a witness is misspelt.
    """
    found = [_witness(text) for text in settings.INNKEEPER_AUDIT_WITNESSES]
    if settings.INNKEEPER_AUDIT_TSA:
        found.append(_authority(settings.INNKEEPER_AUDIT_TSA))
    return found


def reconcile(anchors: list[Anchor]) -> None:
    """Bring the table of states in line with the settings; each difference is an entry."""
    with db.atomic():
        with db.cursor() as cursor:
            cursor.execute("LOCK TABLE audit_anchor_state IN SHARE ROW EXCLUSIVE MODE")
        known = set(AnchorState.objects.values_list("name", flat=True))
        for anchor in anchors:
            if anchor.name not in known:
                with db.cursor() as cursor:
                    cursor.execute(
                        "INSERT INTO audit_anchor_state (name, kind) VALUES (%s, %s)",
                        [anchor.name, anchor.kind],
                    )
                _record(ANCHOR_CONFIGURED.name, anchor.name)
        for gone in known - {anchor.name for anchor in anchors}:
            AnchorState.objects.filter(name=gone).delete()
            _record(ANCHOR_REMOVED.name, gone)


def _record(action: str, name: str) -> None:
    record(action=action, target_type=TARGET, target_id=name, tenant_id=PLATFORM_TENANT)


def _witness(text: str) -> Anchor:
    witness = witnesses.read(text)

    def take(log_id: UUID, note: str, seen: int) -> str:
        return witnesses.cosign(witness, log_id, note, old=seen)

    return Anchor(f"witness {witness.verifier.name}", WITNESS, WITNESS_EVERY_S, take)


def _authority(url: str) -> Anchor:
    if not settings.INNKEEPER_AUDIT_TSA_CA:
        raise ValueError("INNKEEPER_AUDIT_TSA needs its roots in INNKEEPER_AUDIT_TSA_CA")
    roots = timestamps.roots_of(settings.INNKEEPER_AUDIT_TSA_CA)

    def take(log_id: UUID, note: str, seen: int) -> str:
        return timestamps.stamp(url, roots, note).hex()

    every_s = float(settings.INNKEEPER_AUDIT_TSA_INTERVAL_S)
    return Anchor(f"rfc3161 {urlsplit(url).hostname}", RFC3161, every_s, take)
