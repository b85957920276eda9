"""What usage answers look like, for the OpenAPI document."""

from typing import Any

from rest_framework import serializers

from billing.usage.models import Aggregation
from billing.usage.queries.question import WindowSize


class EventSerializer(serializers.Serializer[Any]):
    """A CloudEvent 1.0."""

    id = serializers.CharField(max_length=256)
    source = serializers.CharField(max_length=256)  # type: ignore[assignment]  # DRF's own name
    specversion = serializers.CharField(default="1.0")
    type = serializers.CharField(max_length=256)
    subject = serializers.CharField(max_length=256)
    time = serializers.DateTimeField(required=False, help_text="Absent: the server's clock.")
    data = serializers.DictField(required=False, allow_null=True)  # type: ignore[assignment]  # DRF's own name
    dataschema = serializers.CharField(required=False)


class IngestedSerializer(serializers.Serializer[Any]):
    """A listed event, and why it does not count, if so."""

    event = EventSerializer()
    customerId = serializers.CharField(required=False)  # noqa: N815 - the contract's name
    validationError = serializers.CharField(required=False)  # noqa: N815
    ingestedAt = serializers.DateTimeField()  # noqa: N815
    storedAt = serializers.DateTimeField()  # noqa: N815


class IngestedPageSerializer(serializers.Serializer[Any]):
    """A page of events."""

    items = IngestedSerializer(many=True)
    nextCursor = serializers.CharField(required=False)  # noqa: N815


class MeterInputSerializer(serializers.Serializer[Any]):
    """A meter to be made."""

    slug = serializers.SlugField(max_length=64)
    aggregation = serializers.ChoiceField(choices=Aggregation.values)
    eventType = serializers.CharField(max_length=256)  # noqa: N815
    valueProperty = serializers.CharField(required=False, help_text="$.path")  # noqa: N815
    groupBy = serializers.DictField(child=serializers.CharField(), required=False)  # noqa: N815
    name = serializers.CharField(required=False)
    description = serializers.CharField(required=False)
    metadata = serializers.DictField(child=serializers.CharField(), required=False)
    eventFrom = serializers.DateTimeField(required=False)  # noqa: N815


class MeterChangeSerializer(serializers.Serializer[Any]):
    """What may change in a meter; absent members stay."""

    name = serializers.CharField(required=False)
    description = serializers.CharField(required=False)
    metadata = serializers.DictField(child=serializers.CharField(), required=False)
    groupBy = serializers.DictField(child=serializers.CharField(), required=False)  # noqa: N815


class MeterSerializer(MeterInputSerializer):
    """A meter."""

    id = serializers.CharField(help_text="ULID")
    createdAt = serializers.DateTimeField()  # noqa: N815
    updatedAt = serializers.DateTimeField()  # noqa: N815
    deletedAt = serializers.DateTimeField(required=False)  # noqa: N815


class QuestionSerializer(serializers.Serializer[Any]):
    """A query."""

    to = serializers.DateTimeField(required=False)
    windowSize = serializers.ChoiceField(choices=list(WindowSize), required=False)  # noqa: N815
    windowTimeZone = serializers.CharField(required=False)  # noqa: N815
    subject = serializers.ListField(child=serializers.CharField(), required=False)
    filterCustomerId = serializers.ListField(  # noqa: N815
        child=serializers.CharField(), required=False
    )
    filterGroupBy = serializers.DictField(required=False)  # noqa: N815
    advancedMeterGroupByFilters = serializers.DictField(required=False)  # noqa: N815
    groupBy = serializers.ListField(child=serializers.CharField(), required=False)  # noqa: N815

    def get_fields(self) -> dict[str, Any]:
        """Add ``from``, which is no Python name."""
        return {"from": serializers.DateTimeField(required=False), **super().get_fields()}


class RowSerializer(serializers.Serializer[Any]):
    """One window and group."""

    value = serializers.FloatField()
    valueDecimal = serializers.CharField(help_text="The exact figure.")  # noqa: N815
    windowStart = serializers.DateTimeField()  # noqa: N815
    windowEnd = serializers.DateTimeField()  # noqa: N815
    subject = serializers.CharField(allow_null=True)
    customerId = serializers.CharField(required=False)  # noqa: N815
    groupBy = serializers.DictField(child=serializers.CharField())  # noqa: N815


class ResultSerializer(serializers.Serializer[Any]):
    """The answer to a query."""

    to = serializers.DateTimeField(required=False)
    windowSize = serializers.ChoiceField(choices=list(WindowSize), required=False)  # noqa: N815
    data = RowSerializer(many=True)  # type: ignore[assignment]  # the contract's name

    def get_fields(self) -> dict[str, Any]:
        """Add ``from``, which is no Python name."""
        return {"from": serializers.DateTimeField(required=False), **super().get_fields()}
