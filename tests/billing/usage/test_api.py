"""The routes of usage: rules of meters and questions, scopes, formats, binary mode."""

import csv
from decimal import Decimal

import pytest
import requests

from billing.usage.services.recording import MeteredUse
from kernel import db, tenancy
from kernel.errors import Invalid
from tests.billing.house import call, make_house, make_key
from tests.billing.usage.reports import define, event, report, total, word

RANGE = "from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z"


def new(**facts):
    slug = word()
    return {"slug": slug, "aggregation": "SUM", "eventType": slug, "valueProperty": "$.v"} | facts


@pytest.mark.parametrize(
    ("facts", "pointer"),
    [
        ({"slug": "Not A Slug"}, "/slug"),
        ({"slug": "x" * 65}, "/slug"),
        ({"aggregation": "MODE"}, "/aggregation"),
        ({"eventType": ""}, "/eventType"),
        ({"valueProperty": None}, "/valueProperty"),
        ({"valueProperty": "v"}, "/valueProperty"),
        ({"aggregation": "COUNT"}, "/valueProperty"),
        ({"groupBy": {"1a": "$.a"}}, "/groupBy/1a"),
        ({"groupBy": {"subject": "$.a"}}, "/groupBy/subject"),
        ({"groupBy": {"a": "$.v"}}, "/groupBy/a"),
        ({"groupBy": {"a": "b"}}, "/groupBy/a"),
        ({"groupBy": {f"g{n}": f"$.g{n}" for n in range(9)}}, "/groupBy"),
        ({"groupBy": {"a": 5}}, "/groupBy"),
        ({"eventFrom": "yesterday"}, "/eventFrom"),
    ],
)
def test_meters__rule_broken__is_refused_at_its_field(house, facts, pointer):
    body = call(house.key, "POST", "v1/meters", new(**facts), 400)

    assert [fault["pointer"] for fault in body["errors"]] == [pointer]


def test_meters__two_scopes__see_the_operators_and_their_own(house, platform_key):
    other = make_house("enterprise")
    mine, everybodys = new(), new()
    call(house.key, "POST", "v1/meters", mine, 201)
    call(platform_key, "POST", "v1/meters", everybodys, 201)

    def slugs(key, **headers):
        return {one["slug"] for one in call(key, "GET", "v1/meters?pageSize=1000", **headers)}

    assert {mine["slug"], everybodys["slug"]} <= slugs(house.key)
    assert slugs(other.key) & {mine["slug"], everybodys["slug"]} == {everybodys["slug"]}
    assert mine["slug"] not in slugs(platform_key)
    assert mine["slug"] in slugs(platform_key, **{"Innkeeper-Tenant": house.public_id})
    call(other.key, "GET", f"v1/meters/{mine['slug']}", status=404)


def test_meters__operators_meter__is_not_a_tenants_to_change(house, platform_key):
    made = call(platform_key, "POST", "v1/meters", new(), 201)

    call(house.key, "DELETE", f"v1/meters/{made['id']}", status=403)
    call(house.key, "PUT", f"v1/meters/{made['id']}", {"name": "x"}, 403)

    assert call(house.key, "GET", f"v1/meters/{made['id']}")["name"] == made["slug"]


def test_meters__taken_slug__is_a_conflict_across_scopes(house, platform_key):
    mine, everybodys = new(), new()
    made = call(house.key, "POST", "v1/meters", mine, 201)
    call(platform_key, "POST", "v1/meters", everybodys, 201)

    refused = call(house.key, "POST", "v1/meters", mine, 409)
    call(house.key, "POST", "v1/meters", everybodys, 409)
    call(platform_key, "POST", "v1/meters", mine, 409)
    call(make_house("enterprise").key, "POST", "v1/meters", mine, 201)

    assert refused["extensions"]["conflictingEntityId"] == made["id"]


def test_meters__deleted__frees_its_slug_and_is_listed_on_demand(house):
    body = new()
    made = call(house.key, "POST", "v1/meters", body, 201)
    call(house.key, "DELETE", f"v1/meters/{made['id']}", status=204)

    again = call(house.key, "POST", "v1/meters", body, 201)
    listed = call(house.key, "GET", "v1/meters?includeDeleted=true&orderBy=createdAt&order=DESC")

    assert again["id"] != made["id"]
    assert {one["id"] for one in listed if one["slug"] == body["slug"]} == {made["id"], again["id"]}


def test_meters__change__keeps_what_is_absent_and_clears_null(house):
    made = call(house.key, "POST", "v1/meters", new(name="N", description="D"), 201)

    changed = call(house.key, "PUT", f"v1/meters/{made['id']}", {"description": None})

    assert (changed["name"], changed["description"]) == ("N", "")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("name", "n" * 257),
        ("description", "d" * 1_025),
        ("metadata", {"key": "v" * 1_025}),
        ("metadata", {"k" * 257: "v"}),
        ("metadata", {str(number): "v" for number in range(51)}),
    ],
)
def test_meters__more_said_than_is_kept__is_refused_at_its_place(house, member, value):
    made = call(house.key, "POST", "v1/meters", new(), 201)

    for refused in (
        call(house.key, "POST", "v1/meters", new(**{member: value}), 400),
        call(house.key, "PUT", f"v1/meters/{made['id']}", {member: value}, 400),
    ):
        assert refused["errors"][0]["pointer"].startswith(f"/{member}")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("windowSize=HOUR", "required"),
        ("windowSize=MINUTE&from=0001-01-01T00:00:00Z", "too_many_windows"),
        ("windowSize=HOUR&from=2000-01-01T00:00:00Z", "too_many_windows"),
        ("windowSize=MINUTE&from=2026-01-01T00:00:00Z&to=2026-02-02T00:00:00Z", "too_many_windows"),
    ],
)
def test_query__more_windows_of_levels_than_anybody_reads__is_refused(house, query, code):
    meter = define(house.id, "WEIGHTED_SUM")

    body = call(house.key, "GET", f"v1/meters/{meter.slug}/query?{query}", status=400)

    assert code in {fault["code"] for fault in body["errors"]}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", "invalid_range"),
        ("from=2026-03-01T00:00:00Z&to=2026-03-01T00:00:00Z", "invalid_range"),
        ("from=now", "invalid"),
        ("windowSize=WEEK", "invalid_window_size"),
        ("windowTimeZone=EST5EDT7", "invalid_time_zone"),
        ("groupBy=nothing", "unknown_group_by"),
        ("groupBy=customer_id", "customer_filter_required"),
        ("filterGroupBy=x", "invalid_filter"),
        ("filterGroupBy={'nothing': 'x'}", "unknown_filter"),
        ("filterGroupBy={'g': 'x'}&advancedMeterGroupByFilters={\"g\": {\"$eq\": \"x\"}}",
         "conflicting_filters"),
    ],
)  # fmt: skip
def test_query__faulty_question__is_refused(house, query, code):
    meter = define(house.id, group_by={"g": "$.g"})

    body = call(house.key, "GET", f"v1/meters/{meter.slug}/query?{query}", status=400)

    assert code in {fault["code"] for fault in body["errors"]}


@pytest.mark.parametrize(
    "spelling", ["filterGroupBy[g]=x", 'filterGroupBy={"g":"x"}', "filterGroupBy={'g': 'x'}"]
)
def test_query__each_spelling_of_a_filter__is_the_same(house, spelling):
    meter = define(house.id, group_by={"g": "$.g"})
    report(
        house.id, *(event(meter.slug, data={"value": n, "g": g}) for n, g in ((1, "x"), (2, "y")))
    )

    body = call(house.key, "GET", f"v1/meters/{meter.slug}/query?{RANGE}&{spelling}")

    assert [row["value"] for row in body["data"]] == [1]
    assert (body["from"], body["to"]) == ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")


def test_query__accept_csv_on_post__is_an_attachment(address, house):
    meter = define(house.id)
    report(house.id, event(meter.slug, "0.1234567"))
    headers = {"Authorization": f"Bearer {house.key}", "Accept": "text/csv"}

    url = f"{address}/api/v1/meters/{meter.slug}/query"
    answer = requests.post(url, json={}, headers=headers, timeout=10)

    assert answer.headers["Content-Type"].startswith("text/csv")
    assert f'filename="{meter.slug}.csv"' in answer.headers["Content-Disposition"]
    assert answer.text.splitlines()[1].endswith(",0.123457")


def test_query__csv_of_texts_that_look_like_formulas__executes_none(address, house):
    meter = define(house.id, group_by={"g": "$.g"})
    said = {"value": -1, "g": "=HYPERLINK(1)"}
    report(house.id, event(meter.slug, data=said, subject="@SUM(A1)"))
    headers = {"Authorization": f"Bearer {house.key}", "Accept": "text/csv"}

    url = f"{address}/api/v1/meters/{meter.slug}/query?groupBy=g&groupBy=subject"
    answer = requests.get(url, headers=headers, timeout=10)

    _, row = csv.reader(answer.text.splitlines())
    assert row[2:] == ["'@SUM(A1)", "'=HYPERLINK(1)", "-1.000000"]


def test_query__large_integer__keeps_every_digit_in_the_decimal(house):
    meter = define(house.id)
    report(house.id, event(meter.slug, 2**60 + 1))

    (row,) = call(house.key, "GET", f"v1/meters/{meter.slug}/query")["data"]

    assert row["valueDecimal"] == str(2**60 + 1)
    assert row["value"] == float(2**60)


def test_events__binary_mode__counts(address, house):
    meter = define(house.id)
    headers = {
        "Authorization": f"Bearer {house.key}",
        "Content-Type": "application/json",
        "ce-id": word(),
        "ce-source": "svc",
        "ce-specversion": "1.0",
        "ce-type": meter.slug,
        "ce-subject": "caf%C3%A9",
        "ce-time": "2026-03-01T10:00:00Z",
    }

    answer = requests.post(
        f"{address}/api/v1/events", data='{"value": 7}', headers=headers, timeout=10
    )

    assert (answer.status_code, answer.content) == (204, b"")
    assert total(house.id, meter, subjects=["café"]) == 7


def test_events__key_without_the_permission__reports_nothing(house):
    meter = define(house.id)
    key = make_key(house.id, ("events:read", "meters:read"))

    body = call(key, "POST", "v1/events", event(meter.slug), 403)

    assert body["code"] == "insufficient_permissions"
    assert total(house.id, meter) is None


def test_recorder__metered_use__counts_once_at_the_meters_own_path(house):
    meter = define(house.id, value_property="$.usage.amount")
    event_id = word()

    with tenancy.tenant_context(house.id), db.atomic():
        for _ in range(2):
            MeteredUse().record(
                tenant_id=house.id,
                meter=meter.slug,
                quantity=Decimal("2.5"),
                event_id=event_id,
                data={"key": "key_x"},
            )

    assert total(house.id, meter) == Decimal("2.5")


@pytest.mark.parametrize("slug", ["nothing_here", "api_requests"])
def test_recorder__meter_that_no_event_feeds__is_refused(house, slug):
    with pytest.raises(Invalid) as refused, tenancy.tenant_context(house.id):
        MeteredUse().record(
            tenant_id=house.id, meter=slug, quantity=Decimal(1), event_id="x", data={}
        )

    assert refused.value.errors[0].pointer == "/meter/slug"
