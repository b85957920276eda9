"""What the verifier reads: places in batches, whatever lies between them."""

from audit.verification import storage
from audit.verification.findings import Verdict
from kernel import db
from kernel.tenancy import across_tenants
from tests.audit.samples import SIZE, Sample
from tests.audit.superuser import disarmed


def batches(sample: Sample, first: int, past: int) -> list[list[int]]:
    """The leaf indexes of each batch."""
    with db.use_alias("sealer"), across_tenants(), db.atomic():
        read = storage.places(sample.log_id, first, past)
        return [[row[0] for row in batch] for batch in read]


def test_places__any_range__come_once_in_order_and_few_at_a_time(sample: Sample) -> None:
    for first, past in ((0, SIZE), (1, 2), (3, 3 + storage.ROWS), (63, 65), (7, 299), (9, 9)):
        read = batches(sample, first, past)
        assert [index for batch in read for index in batch] == list(range(first, past))
        assert all(0 < len(batch) <= storage.ROWS for batch in read)


def test_places__whole_batches_gone__are_one_gap(sample: Sample) -> None:
    past = 3 * storage.ROWS + 5
    with disarmed() as link:
        link.execute(
            "DELETE FROM audit_leaf WHERE log_id = %s AND leaf_index BETWEEN 10 AND %s",
            [sample.log_id, past],
        )
    assert batches(sample, 0, SIZE)[0] == list(range(10))
    report = sample.verify()
    gap = next(one for one in report.findings if one.verdict is Verdict.GAP)
    assert (gap.index, gap.detail) == (10, f"places 10 to {past} are gone")
