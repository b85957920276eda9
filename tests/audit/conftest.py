"""Fixtures of the audit tests: a tenant of its own for every test, and actions to record."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from audit.registry import Action, Severity, registry
from audit.sealing.sealer import Sealer
from audit.streams import delivery
from kernel.tenancy import tenant_context
from tests.audit.samples import Sample
from tests.receivers import write_authority
from tests.waiting import until

RENAMED = Action(
    "sample.renamed",
    Severity.NOTICE,
    "{actor} renamed {target}",
    personal=["email"],
    secret=["pin"],
)


@pytest.fixture(scope="session", autouse=True)
def _sample_actions() -> None:
    if RENAMED.name not in registry:
        registry.register(RENAMED)


@pytest.fixture
def tenant_id() -> Iterator[UUID]:
    """A fresh tenant, entered: the log keeps plain ids and needs no tenant row."""
    identifier = uuid4()
    with tenant_context(identifier):
        yield identifier


@pytest.fixture
def sealer() -> Iterator[Sealer]:
    """The leading sealer of this test's database."""
    made = Sealer()
    until("a former leader's session has ended", made.lead)
    try:
        yield made
    finally:
        made.release()


@pytest.fixture
def sample(sealer: Sealer) -> Sample:
    """A sealed log to be tampered with."""
    return Sample(sealer)


@pytest.fixture
def loopback(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams may reach receivers on loopback, at once and in small batches."""
    settings.INNKEEPER_OUTBOUND_TARGETS = ["127.0.0.0/8", "::1/128"]
    settings.INNKEEPER_OUTBOUND_CA = write_authority(tmp_path)
    monkeypatch.setattr(delivery, "FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr(delivery, "MOST_ENTRIES", 7)
