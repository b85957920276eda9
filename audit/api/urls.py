"""Routes of the log, below ``/api/v1/``."""

from django.urls import URLPattern, URLResolver, path

from audit.api import (
    anchors,
    erasures,
    events,
    exports,
    ingest,
    logs,
    retention,
    streams,
    tlog,
    viewers,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("audit/events", ingest.Events.as_view(), name="audit-events"),
    path("audit/events/<str:event>", events.EventDetail.as_view(), name="audit-event"),
    path("audit/events/<str:event>/proof", events.EventProof.as_view(), name="audit-event-proof"),
    path("audit/schemas", ingest.Declarations.as_view(), name="audit-schemas"),
    path("audit/erasures", erasures.Erasures.as_view(), name="audit-erasures"),
    path("audit/checkpoint", logs.Checkpoint.as_view(), name="audit-checkpoint"),
    path("audit/consistency", logs.Consistency.as_view(), name="audit-consistency"),
    path("audit/export", exports.Export.as_view(), name="audit-export"),
    path("audit/feed", logs.Feed.as_view(), name="audit-feed"),
    path(
        "audit/tlog/<str:log>/checkpoint",
        tlog.LogCheckpoint.as_view(),
        name="audit-tlog-checkpoint",
    ),
    path("audit/tlog/<str:log>/tile/<path:tile>", tlog.LogTile.as_view(), name="audit-tlog-tile"),
    path("audit/heads/checkpoint", tlog.HeadsCheckpoint.as_view(), name="audit-heads-checkpoint"),
    path("audit/heads/tile/<path:tile>", tlog.HeadsTile.as_view(), name="audit-heads-tile"),
    path("audit/viewer-tokens", viewers.ViewerTokens.as_view(), name="audit-viewer-tokens"),
    path(
        "audit/viewer-tokens/<str:viewer>/revoke",
        viewers.ViewerRevocation.as_view(),
        name="audit-viewer-token-revoke",
    ),
    path("audit/viewer/events", viewers.ViewerEvents.as_view(), name="audit-viewer-events"),
    path("audit/retention", retention.OwnRetention.as_view(), name="audit-retention"),
    path("admin/audit/retention", retention.Rules.as_view(), name="admin-audit-retention"),
    path("admin/audit/holds", retention.Holds.as_view(), name="admin-audit-holds"),
    path(
        "admin/audit/holds/<str:hold>/release",
        retention.HoldRelease.as_view(),
        name="admin-audit-hold-release",
    ),
    path("audit/streams", streams.Streams.as_view(), name="audit-streams"),
    path("audit/streams/<str:stream>", streams.OneStream.as_view(), name="audit-stream"),
    path("audit/streams/<str:stream>/pause", streams.Pause.as_view(), name="audit-stream-pause"),
    path("audit/streams/<str:stream>/resume", streams.Resume.as_view(), name="audit-stream-resume"),
    path("audit/streams/<str:stream>/test", streams.Test.as_view(), name="audit-stream-test"),
    path("admin/audit/anchors", anchors.Anchors.as_view(), name="admin-audit-anchors"),
    path("admin/audit/events", events.OperatorEventList.as_view(), name="admin-audit-events"),
]
