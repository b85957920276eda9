"""Dashboards show metrics that exist, on a grid without overlaps, from the provisioned source."""

import json

import pytest
import yaml

from tests.architecture.house import ROOT
from tests.observability.made import made_metrics, used_metrics

GRAFANA = ROOT / "platform" / "observability" / "grafana"
RULES = yaml.safe_load((ROOT / "platform" / "observability" / "rules.yml").read_text())
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))


@pytest.fixture(params=DASHBOARDS, ids=lambda path: path.stem)
def panels(request):
    return json.loads(request.param.read_text())["panels"]


def test_panels__metrics__are_all_made_by_somebody(panels):
    recorded = {
        rule["record"] for group in RULES["groups"] for rule in group["rules"] if "record" in rule
    }
    expressions = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    used = set().union(*map(used_metrics, expressions))
    assert used - made_metrics() - recorded == set()
    assert len(expressions) >= 20


def test_panels__ids_and_places__are_their_own(panels):
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_panels__source__is_the_provisioned_one(panels):
    [source] = yaml.safe_load((GRAFANA / "datasources.yml").read_text())["datasources"]
    used = {panel["datasource"]["uid"] for panel in panels if panel["type"] != "row"}
    assert used == {source["uid"]}


def test_panels__none__tells_tenants_apart(panels):
    assert "tenant" not in json.dumps(panels)
