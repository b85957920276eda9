"""Routes of usage, below /api/v1/."""

from django.urls import URLPattern, path

from billing.usage.api.amendments import Corrections, Voids
from billing.usage.api.analytics import UsageAnalytics
from billing.usage.api.current import CurrentUsage
from billing.usage.api.events import Events
from billing.usage.api.events_v2 import EventsV2
from billing.usage.api.exports import EventsExport, UsageExport
from billing.usage.api.feed import EventsFeed
from billing.usage.api.figures import GroupValues, Query, Subjects
from billing.usage.api.keys import KeyUsage
from billing.usage.api.meters import Meters, OneMeter

urlpatterns: list[URLPattern] = [
    path("events", Events.as_view()),
    path("events/feed", EventsFeed.as_view()),
    path("events/void", Voids.as_view()),
    path("events/correct", Corrections.as_view()),
    path("events/export", EventsExport.as_view()),
    path("usage/export", UsageExport.as_view()),
    path("usage/current", CurrentUsage.as_view()),
    path("usage/keys", KeyUsage.as_view()),
    path("usage/analytics", UsageAnalytics.as_view()),
    path("meters", Meters.as_view()),
    path("meters/<str:id_or_slug>", OneMeter.as_view()),
    path("meters/<str:id_or_slug>/query", Query.as_view()),
    path("meters/<str:id_or_slug>/subjects", Subjects.as_view()),
    path("meters/<str:id_or_slug>/group-by/<path:key>/values", GroupValues.as_view()),
]
v2: list[URLPattern] = [path("events", EventsV2.as_view())]
