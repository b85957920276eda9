"""The composition root: who answers which port, who hears which event, who listens to requests.

The only place that knows all apps. ``ConfigConfig.ready`` imports it once they are loaded.
"""

from accounts.queries.keys import NamedKeys
from accounts.services.owners import MembershipOwners
from audit.anchoring.service import run_anchors
from audit.doctor import CHECKS as AUDIT_CHECKS
from audit.jobs import on_tenant_closed, run_sealer
from audit.queries.backlog import figures as audit_figures
from audit.services import requests as audit_requests
from audit.streams.dispatcher import run_streams
from audit.streams.jobs import send_test
from billing.catalog.events import FeatureArchived
from billing.entitlements.jobs import apply_due, keep_windows, on_feature_archived, project_tenant
from billing.entitlements.services import on_subscription_changed
from billing.entitlements.services.thresholds import on_quota_due
from billing.ports import SubscribedPlans
from billing.subscriptions.events import SubscriptionChanged
from billing.usage.jobs import (
    run_attribution,
    run_digests,
    run_partitions,
    run_recounts,
    run_spool_drain,
)
from billing.usage.services.recording import MeteredUse
from billing.usage.spool import note_request
from config.staff import SignedInStaff
from kernel import doctor, events, metrics, ports
from kernel.gate.alarms import QuotaDue
from kernel.http.hooks import hooks
from kernel.jobs import services
from kernel.vitals import background
from tenants.events import TenantClosed

# Importing a job declares it to the worker.
JOBS = (apply_due, keep_windows, project_tenant, send_test)


def compose() -> None:
    """Bind everything. Called once, by ``ConfigConfig.ready``."""
    hooks.denied.append(audit_requests.denied)
    hooks.sensitive_read.append(audit_requests.sensitive_read)
    ports.owners.bind(MembershipOwners())
    ports.plans.bind(SubscribedPlans())
    ports.usage.bind(MeteredUse())
    ports.key_names.bind(NamedKeys())
    ports.staff_sessions.bind(SignedInStaff())
    events.react(SubscriptionChanged.name, on_subscription_changed)
    events.subscribe(FeatureArchived.name, "entitlements.archived", on_feature_archived)
    events.subscribe(QuotaDue.name, "entitlements.thresholds", on_quota_due)
    events.subscribe(TenantClosed.name, "audit.offboarding", on_tenant_closed)
    background.apps.append(audit_figures)
    hooks.finished.append(metrics.observe)
    hooks.finished.append(note_request)
    services.register("audit-sealer", run_sealer)
    services.register("audit-streams", run_streams)
    services.register("audit-anchors", run_anchors)
    services.register("usage-spool", run_spool_drain)
    services.register("usage-recounts", run_recounts)
    services.register("usage-digests", run_digests)
    services.register("usage-attribution", run_attribution)
    services.register("usage-partitions", run_partitions)
    for check in AUDIT_CHECKS:
        doctor.register(check)
    events.registry.check()
