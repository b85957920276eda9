"""How usage runs: trends, foremost subjects, forecast."""

# ruff: noqa: N815

from decimal import Decimal
from typing import Any, ClassVar, Final

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from billing.usage import permissions
from billing.usage.api import parameters
from billing.usage.api.current import PeriodSerializer
from billing.usage.api.figures import number
from billing.usage.forecast import HISTORY, Forecast
from billing.usage.models import Meter
from billing.usage.queries.analytics import WEEK, Change, Running, analytics
from billing.usage.queries.civil import Span
from billing.usage.queries.meters import public_id
from kernel.authz import Access, Scope
from kernel.http.endpoint import Endpoint
from kernel.tenancy import current_tenant

MOST_DAYS: Final = HISTORY + 1
MOST_SUBJECTS: Final = 50
_ADDITIVE: Final = frozenset({"SUM", "COUNT"})


class FigureSerializer(serializers.Serializer[Any]):
    """A figure: the nearest JSON number and the exact text; null where there is none."""

    value = serializers.FloatField(allow_null=True)
    valueDecimal = serializers.CharField(allow_null=True)


class TrendSerializer(serializers.Serializer[Any]):
    """A figure against an earlier one of a span as long."""

    to = serializers.DateTimeField()
    value = serializers.FloatField(allow_null=True)
    valueDecimal = serializers.CharField(allow_null=True)
    previous = FigureSerializer()
    change = FigureSerializer()
    changePercent = serializers.FloatField(allow_null=True)

    def get_fields(self) -> dict[str, Any]:
        """Add ``from``, which is no Python name."""
        return {"from": serializers.DateTimeField(), **super().get_fields()}


class DaySerializer(FigureSerializer):
    """One civil day."""

    to = serializers.DateTimeField()

    def get_fields(self) -> dict[str, Any]:
        """Add ``from``, which is no Python name."""
        return {"from": serializers.DateTimeField(), **super().get_fields()}


class TopSubjectSerializer(FigureSerializer):
    """One subject's figure in the running month; ``share`` of the whole, of sums only."""

    subject = serializers.CharField()
    share = serializers.FloatField(allow_null=True)


class IntervalSerializer(serializers.Serializer[Any]):
    """Where the figure will lie, with a probability of ``level`` percent."""

    level = serializers.IntegerField()
    lower = serializers.FloatField()
    lowerDecimal = serializers.CharField()
    upper = serializers.FloatField()
    upperDecimal = serializers.CharField()


class ForecastSerializer(FigureSerializer):
    """What the month will come to."""

    method = serializers.ChoiceField(choices=["weekday_mean", "mean"])
    historyDays = serializers.IntegerField()
    intervals = IntervalSerializer(many=True)


class RunningSerializer(FigureSerializer):
    """One meter: its figure of the running month and how that came about."""

    id = serializers.CharField()
    slug = serializers.CharField()
    name = serializers.CharField()
    aggregation = serializers.CharField()
    month = TrendSerializer()
    week = TrendSerializer()
    days = DaySerializer(many=True)
    topSubjects = TopSubjectSerializer(many=True)
    forecast = ForecastSerializer(allow_null=True)


class UntoldSerializer(serializers.Serializer[Any]):
    """A meter that is left out, and why."""

    slug = serializers.CharField()
    reason = serializers.ChoiceField(choices=["single_events", "recounting"])


class AnalyticsSerializer(serializers.Serializer[Any]):
    """The analytics of all meters."""

    asOf = serializers.DateTimeField()
    period = PeriodSerializer()
    meters = RunningSerializer(many=True)
    leftOut = UntoldSerializer(many=True)


class UsageAnalytics(Endpoint):
    """How a tenant's usage runs."""

    access: ClassVar = {"GET": Access(permissions.USAGE_READ.name, Scope.TENANT)}

    @extend_schema(
        parameters=[
            OpenApiParameter("meter", str, many=True, description="Slugs; default all meters."),
            OpenApiParameter("days", int, description="Days to list, 0 to 29, default 14."),
            OpenApiParameter("top", int, description="Subjects to list, 1 to 50, default 5."),
        ],
        responses=AnalyticsSerializer,
    )
    def get(self, request: Request) -> Response:
        """Read how each meter runs in the tenant's time zone: trends, subjects, forecast.

        `month` compares the running month with as much of the month before, `week` the last seven
        complete days with the seven before those. `topSubjects` have the largest figures of the
        running month. `forecast` says what sums and counts will come to by the end of the month,
        with intervals of 80 and 95 percent: the mean of each weekday over the last four weeks
        (docs/metering.md). Everything comes from roll-ups, current to the last committed event;
        meters that need single events, or are being counted back, are in `leftOut`.
        """
        query = request.query_params
        found = analytics(
            current_tenant(),
            query.getlist("meter"),
            days=parameters.number(query, "days", 2 * WEEK, MOST_DAYS, least=0),
            top=parameters.number(query, "top", 5, MOST_SUBJECTS),
        )
        here = found.calendar
        spans = {"month": (here.start, here.now), "week": here.back(WEEK, 0)}
        return Response(
            {
                "asOf": here.now,
                "period": {"from": here.start, "to": here.end, "timezone": here.zone},
                "meters": [_running(one, spans) for one in found.meters],
                "leftOut": [{"slug": one.slug, "reason": _reason(one)} for one in found.untold],
            }
        )


def figure(value: Decimal | None, name: str = "value") -> dict[str, Any]:
    """Write an exact value as a number and as text."""
    if value is None:
        return {name: None, f"{name}Decimal": None}
    return {name: number(value), f"{name}Decimal": format(value, "f")}


def share(part: Decimal, whole: Decimal | None) -> float | None:
    """Write a part of a whole, from 0 to 1 with four places; None of nothing."""
    return round(float(part / whole), 4) if whole else None


def _running(one: Running, spans: dict[str, Span]) -> dict[str, Any]:
    whole = one.month.value if one.meter.aggregation in _ADDITIVE else None
    return {
        "id": public_id(one.meter.id),
        "slug": one.meter.slug,
        "name": one.meter.name or one.meter.slug,
        "aggregation": one.meter.aggregation,
        **figure(one.month.value),
        "month": _trend(spans["month"], one.month),
        "week": _trend(spans["week"], one.week),
        "days": [{"from": span[0], "to": span[1], **figure(value)} for span, value in one.days],
        "topSubjects": [
            {"subject": subject, **figure(value), "share": share(value, whole)}
            for subject, value in one.subjects
        ],
        "forecast": None if one.forecast is None else _forecast(one.forecast),
    }


def _trend(span: Span, change: Change) -> dict[str, Any]:
    return {
        "from": span[0],
        "to": span[1],
        **figure(change.value),
        "previous": figure(change.previous),
        "change": figure(change.difference),
        "changePercent": change.percent,
    }


def _forecast(found: Forecast) -> dict[str, Any]:
    return {
        "method": found.method,
        "historyDays": found.days,
        **figure(found.value),
        "intervals": [
            {"level": one.level, **figure(one.lower, "lower"), **figure(one.upper, "upper")}
            for one in found.intervals
        ],
    }


def _reason(meter: Meter) -> str:
    return "single_events" if meter.ready else "recounting"
