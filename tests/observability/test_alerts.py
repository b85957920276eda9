"""Alert rules read their limits from docs/budgets.toml, and only metrics that somebody makes."""

import re
import shutil
import subprocess
import tomllib

import pytest
import yaml
from django.conf import settings

from tests.architecture.house import ROOT
from tests.observability.made import made_metrics, used_metrics

FOLDER = ROOT / "platform" / "observability"
BUDGETS = tomllib.loads((ROOT / "docs" / "budgets.toml").read_text())
[LIMITS] = [entry for entry in BUDGETS["harness"] if entry["id"] == "harness.alerts"]
CLASSES = {entry["id"]: entry for entry in BUDGETS["classes"]}
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
TESTED = {
    case["alertname"]
    for test in yaml.safe_load((FOLDER / "alerts.test.yml").read_text())["tests"]
    for case in test["alert_rule_test"]
    if case["exp_alerts"]
}


def expression(name):
    return " ".join(ALERTS[name]["expr"].split())


def limits(name):
    """Give the numbers that an alert compares with, in the order of its expression."""
    return [float(number) for number in re.findall(r"[<>] ([\d.e]+)", expression(name))]


@pytest.mark.parametrize(
    ("alert", "limit"),
    [
        ("AuthenticationSlow", LIMITS["auth_p95_ms"] / 1000),
        ("RouteSlow", LIMITS["route_p95_ms"] / 1000),
        ("IngestSlow", CLASSES["class.batch"]["p95"] / 1000),
        ("StaffPagesSlow", CLASSES["class.staff"]["p95"] / 1000),
        ("ErrorsMany", LIMITS["max_error_ratio"]),
        ("SuccessBelowPromise", LIMITS["min_success_ratio"]),
        ("MemoryGrows", LIMITS["max_memory_mb_per_hour"] * 1e6),
    ],
)
def test_alert__threshold__is_the_budget(alert, limit):
    assert limits(alert)[0] == pytest.approx(limit, rel=1e-12)


def test_memory_grows__serving_and_worker__have_one_limit():
    assert set(limits("MemoryGrows")) == {LIMITS["max_memory_mb_per_hour"] * 1e6}


def test_answer_took_a_second__threshold__is_the_budget():
    [bound] = re.findall(r'le="([\d.]+)"', expression("AnswerTookASecond"))
    assert float(bound) == LIMITS["route_max_s"]
    assert float(bound) in settings.PROMETHEUS_LATENCY_BUCKETS


def test_error_budget__promise__is_the_budget():
    promises = re.findall(r"\(1 - ([\d.]+)\)", expression("ErrorBudgetBurns"))
    assert [float(promise) for promise in promises] == [LIMITS["min_success_ratio"]] * 2


def test_slow_statement__of_the_code__is_the_budget():
    assert LIMITS["db_query_ms"] == settings.INNKEEPER_SLOW_STATEMENT_MS


def test_budgets__every_alert_limit__is_used_by_an_alert():
    named = {alert["annotations"].get("budget") for alert in ALERTS.values()}
    measures = {key for key in LIMITS if key not in ("id", "kind", "op", "source")}
    assert measures <= named


def test_budgets__latency_limits__are_bounds_of_buckets():
    for limit in (LIMITS["auth_p95_ms"], LIMITS["route_p95_ms"]):
        assert limit / 1000 in settings.PROMETHEUS_LATENCY_BUCKETS


def test_rules__metrics__are_all_made_by_somebody():
    used = set().union(*(used_metrics(rule["expr"]) for rule in RULES))
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    assert used - made_metrics() - recorded == set()
    assert len(used) >= 10


def test_rules__labels_of_views__name_routes_that_exist(django_routes):
    for rule in RULES:
        for pattern in re.findall(r'view=~?"([^"]+)"', rule["expr"]):
            assert any(re.fullmatch(pattern, route) for route in django_routes), pattern


def test_alerts__of_a_budget__are_tested_over_time():
    budgeted = {name for name, alert in ALERTS.items() if "budget" in alert["annotations"]}
    # The same expression as others, with the limits of other classes.
    assert budgeted - TESTED == {"IngestSlow", "StaffPagesSlow"}


def test_alerts__each__has_a_paragraph_for_whoever_is_woken():
    guide = (ROOT / "docs" / "operations.md").read_text()
    assert [name for name in ALERTS if f"**{name}**" not in guide] == []


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus is not installed")
def test_alerts__over_time__fire_and_stay_silent_as_promtool_finds():
    subprocess.run(["promtool", "check", "rules", "rules.yml"], cwd=FOLDER, check=True)
    subprocess.run(["promtool", "test", "rules", "alerts.test.yml"], cwd=FOLDER, check=True)
