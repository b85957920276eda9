"""The tenants, features and use that ``bench.usage access`` asks about."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.utils import timezone
from django.utils.module_loading import import_string

from audit.services import audited, record
from bench.latency.calls import json_call, send
from billing.actions import PLAN_VERSION_PUBLISHED
from billing.catalog.models import Feature, Kind, Plan, PlanFeature, PlanVersion
from billing.entitlements.queries.many import known, values_of
from billing.usage.cloudevents import decode
from billing.usage.models import OPERATOR, Aggregation
from billing.usage.services import meters
from billing.usage.services.ingest import ingest
from kernel import db
from kernel.gate import projection
from kernel.gate.keys import PLATFORM, mint
from kernel.ids import new_id
from kernel.postgres.throwaway import ThrowawayCluster
from kernel.tenancy import across_tenants
from tenants.services import NewTenant, create

_DATABASE = "innkeeper_bench"
_PLAN = "bench"


@dataclass(frozen=True, slots=True)
class World:
    """Who is asked about what, with a key of the operator."""

    tenants: list[UUID]
    slugs: list[str]
    features: list[str]
    key: str


def prepare(cluster: ThrowawayCluster) -> None:
    """Make and migrate a database, and let Django's aliases be its."""
    cluster.provisioner().database(_DATABASE)
    for entry in connections.settings.values():
        entry.update(HOST=str(cluster.socket), NAME=_DATABASE)
    call_command("migrate", database="owner", verbosity=0, interactive=False)


def fill(tenants: int, features: int) -> World:
    """Make features, a plan that grants them all, tenants on it, and an event of each."""
    keys = [f"bench_{number:03}" for number in range(features)]
    with db.use_alias("staff"), across_tenants():
        _plan(keys)
        made = [
            create(NewTenant(name=f"Bench {n}", slug=f"bench-{n:03}", plan=_PLAN))
            for n in range(tenants)
        ]
        for tenant in made:
            ingest(_events(tenant.slug, keys), tenant_id=None, by_operator=True)
        key = mint(PLATFORM)
        key_id = new_id()
        with db.atomic():
            projection.put_credential(
                key, key_id=key_id, lineage=key_id, tenant_id=None, permissions=["*:*"]
            )
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute("ANALYZE")
    return World([one.id for one in made], [one.slug for one in made], keys, key.text)


def ask(world: World) -> float:
    """Ask over the whole stack; give the seconds.

    Raises:
        AssertionError: a value is missing or wrong.
    """
    body = {"customers": world.slugs, "features": world.features}
    call = json_call("POST", "/api/v1/access/query", world.key, body)
    application = import_string(settings.WSGI_APPLICATION)
    began = time.perf_counter()
    answer = send(application, call)
    taken = time.perf_counter() - began
    found = answer.json()["customers"]
    used = {value["usage"] for one in found for value in one["entitlements"].values()}
    assert (answer.status, len(found), used) == (200, len(world.slugs), {1.0})
    return taken


def statements(world: World, tenants: int) -> int:
    """Count the statements that values of so many tenants take."""
    counted: list[str] = []

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        counted.append(sql)
        return execute(sql, params, many, context)

    with db.use_alias("staff"), across_tenants(), db.connection().execute_wrapper(count):
        values_of(known(world.tenants[:tenants], []), world.features, datetime.now(UTC))
    return len(counted)


def close() -> None:
    """Close what this thread has open."""
    for connection in connections.all(initialized_only=True):
        connection.close()


def _plan(keys: list[str]) -> None:
    for key in keys:
        meters.create(
            meters.Definition(slug=key, aggregation=Aggregation.COUNT, event_type=key),
            scope=OPERATOR,
        )
    with audited():
        record(action=PLAN_VERSION_PUBLISHED.name, target_type="plan", target_id=_PLAN)
        features = Feature.objects.bulk_create(
            Feature(key=key, name=key, kind=Kind.METERED, meter=key) for key in keys
        )
        plan = Plan.objects.create(key=_PLAN, name="Bench")
        version = PlanVersion.objects.create(plan=plan, number=1)
        PlanFeature.objects.bulk_create(
            PlanFeature(version=version, feature=feature, value={"limit": "1000"})
            for feature in features
        )
        version.published_at = timezone.now()
        version.save(update_fields=["published_at"])


def _events(subject: str, keys: list[str]) -> Any:
    events = [
        {"specversion": "1.0", "id": f"{subject}-{key}", "source": "bench", "type": key,
         "subject": subject}
        for key in keys
    ]  # fmt: skip
    return decode(orjson.dumps(events), "application/cloudevents-batch+json", {})
