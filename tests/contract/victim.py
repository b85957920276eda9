"""A tenant with something of everything, for tests that reach for all of it by its names."""

from dataclasses import dataclass
from uuid import UUID

from audit.api.rendering import EVENT_PREFIX
from audit.models import Event, Stream
from audit.queries import logs
from audit.sealing.sealer import Sealer
from kernel import ids
from kernel.tenancy import tenant_context
from tests.guests import Guest, call, fresh, inside, new_guest, operator_key


@dataclass(frozen=True)
class Victim:
    """A tenant with something of everything, all of it recognisable by ``marker``."""

    guest: Guest
    marker: str
    names: dict[str, list[str]]

    @property
    def traces(self) -> list[bytes]:
        """What must never be in another tenant's answer."""
        known = {
            self.marker,
            str(self.guest.id),
            *(n for some in self.names.values() for n in some),
        }
        return [name.encode() for name in known]


def make_victim() -> Victim:
    marker = f"zebra{ids.new_id().hex[-12:]}"
    guest = new_guest("enterprise", slug=fresh(marker), name=f"{marker} Inc.")
    key = call("POST", "keys", guest.key, {"name": marker}).body
    member = {"email": f"{marker}@example.com", "role": "owner", "name": marker}
    member = call("POST", "members", guest.key, member).body
    meter = {"slug": marker, "eventType": marker, "aggregation": "COUNT", "description": marker}
    meter = call("POST", "meters", guest.key, meter).body
    subject = call("POST", "subjects", guest.key, [{"key": marker, "displayName": marker}])
    event = {"specversion": "1.0", "id": marker, "source": marker, "type": marker}
    sent = call("POST", "events", guest.key, {**event, "subject": marker, "data": {"x": marker}})
    assert (subject.status, sent.status // 100) == (200, 2), (subject, sent)
    static = {"type": "static", "featureKey": "seats", "config": '{"value":3}'}
    static["metadata"] = {"note": marker}
    path = f"/api/v2/customers/{guest.slug}/entitlements/seats/override"
    entitlement = call("PUT", path, operator_key(), static).body
    stream = {"name": marker, "kind": "webhook", "url": f"https://{marker}.invalid/"}
    stream = call("POST", "audit/streams", guest.key, stream).body
    with inside(guest.id):
        entry = Event.objects.filter(action="key.created").first()
    viewer = call("POST", "audit/viewer-tokens", guest.key, {"label": marker}).body
    names = {
        "viewer": [viewer["id"]],
        "customer": [guest.public_id, guest.slug],
        "entitlement": [entitlement["id"]],
        "event": [ids.encode(EVENT_PREFIX, entry.id)],
        "id_or_slug": [meter["id"], marker],
        "key": [key["id"], ids.encode("key", guest.key_id)],
        "log": [str(log_of(guest))],
        "member": [member["id"]],
        "stream": [stream["id"]],
        "subject": [marker],
    }
    return Victim(guest, marker, names)


def log_of(guest: Guest) -> UUID:
    """Seal what the tenant's log has so far, and name the log."""
    sealer = Sealer()
    try:
        sealer.drain()
    finally:
        sealer.release()
    with tenant_context(guest.id):
        return logs.newest(Stream.PLATFORM).log_id
