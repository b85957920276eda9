"""What the catalogue tells the rest of the system."""

from dataclasses import dataclass
from typing import ClassVar

from kernel.events import DomainEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureArchived(DomainEvent):
    """A feature is granted to nobody any more; the catalogue is the operator's, so no tenant is."""

    name: ClassVar[str] = "feature.archived"

    feature: str
