"""``manage.py audit_rotate_key``: replaces the signing keys; older notes stay verifiable."""

from typing import Any

from django.core.management.base import BaseCommand

from audit.actions import KEY_ROTATED
from audit.sealing import keys
from audit.services import audited, record
from kernel.acting import as_system


class Command(BaseCommand):
    """Makes new Ed25519 and ML-DSA-44 keys and records it."""

    help = "Rotate the keys that sign checkpoints. Former public keys stay in the ring."

    def handle(self, *args: Any, **options: Any) -> None:
        """Rotate. The entry is written first: no rotation goes untold."""
        with as_system(), audited():
            record(action=KEY_ROTATED.name, target_type="audit_key", target_id="signing")
        keys.rotate()
        self.stdout.write(
            "Rotated. Give the new verifier keys (audit/checkpoint) to your auditors."
        )
