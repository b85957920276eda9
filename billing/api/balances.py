"""Balances of grants as OpenMeter writes them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from billing.entitlements.models.grants import GRANT_PREFIX
from billing.usage.api.figures import number
from kernel.ids import encode


def balances(grants: Mapping[UUID, Decimal]) -> dict[str, Any]:
    """Write balances by grant."""
    return {encode(GRANT_PREFIX, id_): number(amount) for id_, amount in grants.items()}
