"""Events of the operator whose subject finds its tenant later."""

import json

from billing.usage.cloudevents import decode
from billing.usage.services.attributing import attribute_all
from billing.usage.services.ingest import ingest
from kernel import db
from tests.billing.house import make_house
from tests.billing.usage.reports import as_staff, define, event, report, total, word
from tests.billing.usage.test_recount import differing


def report_as_operator(*events) -> int:
    with as_staff():
        sent = decode(json.dumps(events).encode(), "application/json")
        return ingest(sent, tenant_id=None, by_operator=True)


def give(subject: str, house) -> None:
    with as_staff(), db.cursor() as cursor:
        cursor.execute("INSERT INTO billing_usage_attribution VALUES (%s, %s)", [subject, house.id])


def test_attribute__subject_given_later__counts_what_came_before(house):
    meter = define(house.id)
    subject = word()
    report(house.id, event(meter.slug, 1, subject="own"))
    strays = [event(meter.slug, 2, subject=subject), event(meter.slug, 4, subject=word())]
    report_as_operator(*strays)
    attribute_all()
    assert total(house.id, meter) == 1

    give(subject, house)
    attribute_all()

    assert total(house.id, meter) == 3
    assert differing(meter) == ""
    attribute_all()
    assert total(house.id, meter) == 3


def test_attribute__subject_given_before__counts_at_once(house):
    meter = define(house.id)
    subject = word()
    give(subject, house)

    report_as_operator(event(meter.slug, 2, subject=subject))

    assert total(house.id, meter) == 2


def test_attribute__retry_after_the_mapping__counts_once(house):
    meter = define(house.id)
    one = event(meter.slug, 2, subject=word())
    report_as_operator(one)
    give(one["subject"], house)

    assert report_as_operator(one) == 0
    attribute_all()

    assert total(house.id, meter) == 2


def test_attribute__subject_that_is_another_tenants_slug__goes_to_whom_it_was_given(house):
    meter = define(house.id)
    other = make_house("enterprise")
    give(other.slug, house)

    report_as_operator(event(meter.slug, 2, subject=other.slug))

    assert total(house.id, meter) == 2
