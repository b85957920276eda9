"""Adding features to the catalogue, and archiving them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import IntegrityError
from django.utils import timezone

from audit.services import audited, record
from billing.actions import FEATURE_ARCHIVED, FEATURE_CREATED
from billing.catalog.events import FeatureArchived
from billing.catalog.models import Feature, Kind
from billing.catalog.models.features import FEATURE_PREFIX, KEY_LENGTH, KEY_PATTERN
from billing.usage import filters
from billing.usage.metadata import metadata_faults
from billing.usage.models import OPERATOR, Aggregation, Meter, Origin
from kernel.errors import Conflict, FieldError, Invalid
from kernel.events import emit
from kernel.ids import encode
from kernel.tenancy import across_tenants

LONGEST_NAME: Final = 256
_SHOWN: Final = ("key", "name", "kind", "meter", "group_filters")
_COUNTED: Final = frozenset({Aggregation.SUM, Aggregation.COUNT})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFeature:
    """A feature to be; metered by a meter of the operator, boolean without one.

    ``group_filters`` hold operators by group-by key of the meter: only these events count.
    """

    key: str
    name: str
    meter: str = ""
    group_filters: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)

    def check(self, meter: Meter | None) -> None:
        """Look for faults of form.

        Raises:
            kernel.errors.Invalid: with one entry a fault.
        """
        faults: list[FieldError] = []
        if len(self.key) > KEY_LENGTH or not re.fullmatch(KEY_PATTERN, self.key):
            message = f"A key is lower case words joined by _, at most {KEY_LENGTH} characters."
            faults.append(FieldError("/key", "invalid_key", message))
        if not 0 < len(self.name.strip()) <= LONGEST_NAME:
            message = f"A name has 1 to {LONGEST_NAME} characters."
            faults.append(FieldError("/name", "invalid_name", message))
        faults += metadata_faults(self.metadata)
        if self.meter and (meter is None or meter.aggregation not in _COUNTED):
            message = "A metered feature counts a SUM or COUNT meter of the operator."
            faults.append(FieldError("/meterSlug", "unknown_meter", message))
        elif meter is not None and meter.origin == Origin.GATE:
            faults.append(FieldError("/meterSlug", "invalid", "The gate counts this meter itself."))
        groups = set(meter.group_by) if meter else set()
        for name in sorted(set(self.group_filters) - groups):
            message = f"The meter has no group-by key {name!r}."
            faults.append(FieldError(f"/meterGroupByFilters/{name}", "unknown_filter", message))
        if faults:
            raise Invalid(faults[0].message, code="invalid_feature", errors=faults)
        filters.advanced(dict(self.group_filters))


def create(new: NewFeature) -> Feature:
    """Add a feature. Plans and overrides may grant it from now on; nobody has it yet.

    Raises:
        kernel.errors.Invalid: a fault of form, or no such meter or group.
        kernel.errors.Conflict: the key is taken, if only by an archived one.
    """
    meter = None
    if new.meter:
        with across_tenants():
            meter = Meter.visible().filter(scope=OPERATOR, slug=new.meter).first()
    new.check(meter)
    feature = Feature(
        key=new.key,
        name=new.name.strip(),
        kind=Kind.METERED if new.meter else Kind.BOOLEAN,
        meter=new.meter,
        group_filters=dict(new.group_filters),
        metadata=dict(new.metadata),
    )
    with audited():
        try:
            feature.save(force_insert=True)
        except IntegrityError as error:
            raise Conflict(
                f"There is a feature {new.key}.", code="feature_key_taken", pointer="/key"
            ) from error
        record(
            action=FEATURE_CREATED.name,
            target_type="feature",
            target_id=encode(FEATURE_PREFIX, feature.id),
            after={name: getattr(feature, name) for name in _SHOWN},
        )
    return feature


def archive(feature: Feature) -> None:
    """Take a feature from everybody; an archived one stays so, unrecorded.

    Raises:
        kernel.errors.Conflict: it is a limit of plans, which every tenant has.
    """
    if feature.plan_limit:
        raise Conflict("The feature is a limit of the plans.", code="feature_is_limit")
    if feature.archived_at is not None:
        return
    with audited():
        feature.archived_at = timezone.now()
        feature.save(update_fields=["archived_at", "updated_at"])
        record(
            action=FEATURE_ARCHIVED.name,
            target_type="feature",
            target_id=encode(FEATURE_PREFIX, feature.id),
            before={name: getattr(feature, name) for name in _SHOWN},
        )
        emit(FeatureArchived(feature=feature.key))
