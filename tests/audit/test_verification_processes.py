"""Logs verified side by side: the same reports in the same order, whoever walked them."""

from uuid import UUID

import pytest

from audit.sealing.sealer import Sealer
from audit.verification import storage
from audit.verification.findings import Verdict
from audit.verification.processes import WORTH_A_PROCESS, verify_in, worthwhile
from audit.verification.run import verify
from audit.verification.storage import StoredHead
from kernel import db
from kernel.tenancy import across_tenants
from tests.audit.samples import FORGE, SIZE, Sample
from tests.audit.superuser import disarmed


def test_verify_in__two_processes__report_what_one_would(sealer: Sealer) -> None:
    forged, whole = Sample(sealer), Sample(sealer)
    with disarmed() as link:
        link.execute(FORGE, [forged.event(42)])
    with db.use_alias("sealer"), across_tenants():
        heads = [*storage.heads(forged.tenant), *storage.heads(whole.tenant)]
    counted: list[int] = []

    reports = verify_in(2, heads, None, counted.append)

    assert reports == [*verify(forged.tenant).logs, *verify(whole.tenant).logs]
    assert [report.first_bad for report in reports] == [42, None]
    assert Verdict.INVALID in reports[0].counts
    assert counted == [SIZE, SIZE]


def log(size: int) -> StoredHead:
    return StoredHead(UUID(int=size), UUID(int=0), 0, 0, "", size, b"", [])


@pytest.mark.parametrize(
    ("sizes", "most", "expected"),
    [
        ([], 4, 1),
        ([10 * WORTH_A_PROCESS], 4, 1),
        ([100, 100], 4, 1),
        ([WORTH_A_PROCESS, WORTH_A_PROCESS], 4, 2),
        ([WORTH_A_PROCESS] * 9, 4, 4),
        ([WORTH_A_PROCESS] * 9, 1, 1),
    ],
)
def test_worthwhile__logs__take_processes_only_where_these_shorten_the_work(
    sizes: list[int], most: int, expected: int
) -> None:
    assert worthwhile([log(size) for size in sizes], most) == expected
