"""The data that latency cases work on: tenants as they look after some weeks of use, made by
API."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from accounts.models import User
from audit.services import audited, record
from bench.latency.calls import Answer, Application, Call, json_call, send
from billing.actions import FEATURE_CREATED
from billing.catalog.models import Feature, Kind
from billing.usage.services import recounting
from kernel import db, ids, tenancy
from kernel.gate import keys, projection

EVERYTHING = ["*:*"]
METER, METER_EVENT = "latency_calls", "latency.call"
EVENTS = 500
PAGE = 5
PASSWORD = "correct horse battery staple"


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant with an unlimited key."""

    id: str
    slug: str
    key: str
    key_id: str


@dataclass
class World:
    """Makes what cases need, once and lazily; every number given to `fresh` is used once."""

    application: Application
    _numbers: int = field(default=0)
    _made_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def day(self) -> dict[str, str]:
        """From and to of the UTC day that holds the tenant's events.

        Answers with a row for each day are asked for within it: a run may go on past midnight.
        """
        start = self._made_at.replace(hour=0, minute=0, second=0, microsecond=0)
        return {"from": start.isoformat(), "to": (start + timedelta(days=1)).isoformat()}

    @cached_property
    def platform_key(self) -> str:
        """A key of the operator that may do everything."""
        minted, key_id = keys.mint(keys.PLATFORM), ids.new_id()
        with db.use_alias("staff"), db.atomic():
            projection.put_credential(
                minted, key_id=key_id, lineage=key_id, tenant_id=None, permissions=EVERYTHING
            )
        return minted.text

    @cached_property
    def tenant(self) -> Tenant:
        """The tenant that most cases concern."""
        tenant = self.new_tenant("enterprise")
        self._use(tenant)
        self._people(tenant)
        return tenant

    @cached_property
    def quiet_tenant(self) -> Tenant:
        """A tenant without usage or daily limit, for cases that would pile something up."""
        return self.new_tenant("enterprise")

    @cached_property
    def moving_tenant(self) -> Tenant:
        """A tenant whose plan cases change."""
        return self.new_tenant()

    @cached_property
    def granted_tenant(self) -> Tenant:
        """A tenant whose entitlements and grants cases change."""
        return self.new_tenant("enterprise")

    @cached_property
    def left_out(self) -> str:
        """The key of a boolean feature that no plan grants."""
        key = self.fresh("left_out").replace("-", "_")
        with db.use_alias("staff"), audited():
            record(action=FEATURE_CREATED.name, target_type="feature", target_id=key)
            Feature(key=key, name=key, kind=Kind.BOOLEAN).save()
        return key

    @cached_property
    def staff(self) -> User:
        """A member of the operator's staff who may do everything."""
        with db.use_alias("staff"), tenancy.across_tenants():
            return User.objects.create_superuser(f"{self.fresh('staff')}@example.org", PASSWORD)

    @cached_property
    def csrf(self) -> str:
        """A CSRF secret; cookie and form carry the same."""
        return "c" * 32

    @cached_property
    def staff_cookies(self) -> dict[str, str]:
        """The cookies of a signed-in member of staff."""
        return self.sign_in()

    def sign_in(self) -> dict[str, str]:
        """A session of the member of staff."""
        with db.use_alias("staff"), tenancy.across_tenants():
            session = SessionStore()
            session[SESSION_KEY] = str(self.staff.pk)
            session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
            session[HASH_SESSION_KEY] = self.staff.get_session_auth_hash()
            session.save()
        return {settings.SESSION_COOKIE_NAME: session.session_key, "csrftoken": self.csrf}

    def _use(self, tenant: Tenant) -> None:
        """Give the tenant a meter and some usage."""
        meter = {
            "slug": METER, "eventType": METER_EVENT, "aggregation": "SUM",
            "valueProperty": "$.value", "groupBy": {"region": "$.region"},
        }  # fmt: skip
        self.ask("POST", "/api/v1/meters", meter, key=tenant.key)
        recounting.recount_all()  # as the worker does within a second
        events = [
            {
                "specversion": "1.0", "id": f"{tenant.slug}-{n}", "source": "latency",
                "type": METER_EVENT, "subject": f"subject-{n % 10}",
                "time": self._made_at.isoformat(),
                "data": {"value": n % 7, "region": f"region-{n % 3}"},
            }
            for n in range(EVENTS)
        ]  # fmt: skip
        headers = {
            "Authorization": f"Bearer {tenant.key}",
            "Content-Type": "application/cloudevents-batch+json",
        }
        call = Call("POST", "/api/v1/events", headers, json.dumps(events).encode())
        assert self.send(call).status == 204

    def _people(self, tenant: Tenant) -> None:
        """Give the tenant members and the operator a platform key, and more tenants beside it."""
        for role in ("owner", "admin", "developer", "auditor", "member"):
            body = {"email": f"{self.fresh(role)}@example.org", "role": role, "name": role}
            self.ask("POST", "/api/v1/members", body, key=tenant.key)
        body = {"name": "latency", "permissions": ["keys:verify"]}
        for _ in range(PAGE):
            self.ask("POST", "/api/v1/admin/platform-keys", body)
            self.new_tenant()

    def new_tenant(self, plan: str = "basic") -> Tenant:
        """One more tenant, with a key whose limits are lifted."""
        slug = self.fresh("lat")
        made = self.ask("POST", "/api/v1/admin/tenants", {"name": slug, "slug": slug, "plan": plan})
        key = self.ask(
            "POST",
            f"/api/v1/admin/tenants/{made['id']}/keys",
            {"name": "latency", "permissions": EVERYTHING, "daily": None, "burst": None},
        )
        return Tenant(made["id"], slug, key["key"], key["id"])

    def fresh(self, prefix: str) -> str:
        """A name that nothing else has."""
        self._numbers += 1
        return f"{prefix}-{ids.new_id().hex[:20]}-{self._numbers}"

    def ask(self, method: str, path: str, body: Any = None, *, key: str = "") -> Any:
        """One API call, as the operator unless a key is given; gives the decoded answer."""
        answer = self.send(json_call(method, path, key or self.platform_key, body))
        if answer.status >= 400:
            raise AssertionError(f"{method} {path}: {answer.status} {answer.body[:500]!r}")
        return json.loads(answer.body) if answer.body else None

    def send(self, call: Call) -> Answer:
        """One request through the whole stack."""
        return send(self.application, call)


def form(
    path: str, cookies: dict[str, str], fields: dict[str, str] | None = None, method: str = "POST"
) -> Call:
    """A staff page: GET, or a form where fields are given."""
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    if fields is None:
        return Call("GET", path, headers)
    headers |= {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-CSRFToken": cookies["csrftoken"],
    }
    return Call(method, path, headers, urlencode(fields).encode())
