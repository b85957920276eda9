"""The instance's name in leaves and logs: it stays when the address changes, and is looked at."""

from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.core.management import call_command

from audit.origin import instance_origin
from audit.sealing.keys import ring
from audit.sealing.sealer import Sealer
from audit.services import recording
from audit.verification.findings import Verdict
from audit.verification.run import verify
from tests.audit.logs import changes, rows
from tests.audit.superuser import superuser
from tests.audit.test_bundle import outsider
from tests.database import SessionDatabase


@pytest.fixture
def moved(database: SessionDatabase, settings: Any) -> None:
    """The instance is reached under another address than when it was made."""
    settings.INNKEEPER_PUBLIC_URL = "https://moved.example.org"
    instance_origin.cache_clear()


@pytest.mark.usefixtures("moved")
def test_instance__reached_under_another_address__keeps_its_name_and_proves_all(
    tenant_id: UUID, sealer: Sealer, tmp_path: Path
) -> None:
    changes(tenant_id, 3)
    sealer.drain()
    ((log_id, origin),) = rows(
        "SELECT log_id, origin FROM audit_head WHERE tenant_id = %s", tenant_id
    )
    assert origin == f"{instance_origin()}/{log_id.hex}"
    assert "moved" not in origin
    (report,) = verify(tenant_id).logs
    assert (report.valid, report.checked) == (True, 3)
    call_command("audit_export", str(tenant_id), str(tmp_path), verbosity=0)
    pair = ring().verifiers(origin)[0]
    keys = [word for key in pair for word in ("--vkey", key.vkey)]
    outcome = outsider("bundle", tmp_path / "platform-0", *keys)
    assert (outcome.returncode, outcome.stderr) == (0, "")


def test_verify__entry_of_another_instance__is_invalid_at_its_place(
    tenant_id: UUID, sealer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes(tenant_id, 2)
    monkeypatch.setattr(recording, "instance_origin", lambda: "other.example.org/log")
    changes(tenant_id, 1)
    sealer.drain()
    (report,) = verify(tenant_id).logs
    assert (report.counts, report.first_bad) == ({Verdict.INVALID: 1}, 2)
    assert report.findings[0].detail.endswith("it was made for another place than this log")


@pytest.mark.parametrize(
    "change", ["UPDATE audit_instance SET origin = 'x'", "TRUNCATE audit_instance"]
)
def test_instance__its_name__is_changed_by_nobody(change: str, tenant_id: UUID) -> None:
    with superuser() as link, pytest.raises(psycopg.Error):
        link.execute(change)
