"""Fixtures of the whole suite. How tests get their database stands in tests/database.py."""

import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, configuration, settings

from tests.database import SessionDatabase, open_lazily
from tests.systems import RunningSystem, running_system

# Folders whose tests measure time or load the machine: they never run beside others.
SERIAL_FOLDERS = {"latency", "e2e"}

# Hypothesis keeps nothing in the repository and draws the same examples for every commit: what it
# finds is then this commit's. A shared machine makes deadlines and slowness meaningless.
configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "innkeeper-hypothesis")
settings.register_profile(
    "house",
    database=None,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("house")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the suite's own marker."""
    config.addinivalue_line("markers", "serial: measures or loads the machine; runs alone")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the serial folders into the serial lane."""
    here = Path(__file__).parent
    for item in items:
        if SERIAL_FOLDERS & set(item.path.relative_to(here).parts):
            item.add_marker("serial")


@pytest.fixture(scope="session", autouse=True)
def session_database(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: object
) -> Iterator[SessionDatabase]:
    """Let every test connect; the cluster starts with the first connection of the session."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    base = tmp_path_factory.getbasetemp()
    database = SessionDatabase(base.parent if worker else base, worker or "main")
    with django_db_blocker.unblock():
        undo = open_lazily(database.ensure)
        try:
            yield database
        finally:
            undo()
            database.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a test that lost its database what is left of the cluster."""
    report = yield
    session = item.funcargs.get("session_database") if isinstance(item, pytest.Function) else None
    if report.failed and session is not None and ".s.PGSQL." in str(report.longrepr):
        report.sections.append(("the session's cluster", session.autopsy()))
    return report


@pytest.fixture
def database(session_database: SessionDatabase) -> SessionDatabase:
    """Bring the database up now, for tests that start processes of their own."""
    session_database.ensure()
    return session_database


@pytest.fixture(scope="session")
def whole_system() -> Iterator[RunningSystem]:
    """The system of ``make run``, started once, for tests that only use it (serial lane)."""
    with TemporaryDirectory(prefix="innkeeper-run-", dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        with running_system(Path(folder) / "home") as system:
            yield system
