"""docker-compose.yml and Dockerfile, checked without Docker."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.architecture.house import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
LASTING = sorted(name for name, service in SERVICES.items() if service["restart"] != "no")


def images() -> list[str]:
    return [service["image"] for service in SERVICES.values()] + re.findall(
        r"^FROM (\S+)", DOCKERFILE, re.M
    )


def doubled(node: yaml.Node | None) -> list[str]:
    """Keys that a mapping has twice: PyYAML takes the last one, Docker refuses the file."""
    if isinstance(node, yaml.SequenceNode):
        return [key for item in node.value for key in doubled(item)]
    if not isinstance(node, yaml.MappingNode):
        return []
    keys = [key.value for key, _ in node.value]
    below = [key for _, value in node.value for key in doubled(value)]
    return sorted({key for key in keys if keys.count(key) > 1}) + below


@pytest.mark.parametrize(
    "file",
    [
        "docker-compose.yml",
        ".github/workflows/ci.yml",
        ".github/workflows/locks.yml",
        "platform/observability/prometheus.yml",
        "platform/observability/rules.yml",
        "platform/observability/alertmanager.yml",
    ],
)
def test_yaml__always__has_no_key_twice(file: str) -> None:
    assert doubled(yaml.compose((ROOT / file).read_text())) == []


def test_compose__always__has_the_services_of_the_design() -> None:
    assert set(SERVICES) == {
        "database", "migrate", "app", "worker", "proxy", "prometheus", "alertmanager", "grafana",
    }  # fmt: skip
    assert SERVICES["app"]["deploy"]["replicas"] == 2
    assert SERVICES["database"]["image"].startswith("postgres:18")


@pytest.mark.parametrize("name", LASTING)
def test_service__that_lasts__has_a_health_check_and_comes_back(name: str) -> None:
    service = SERVICES[name]

    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert service["healthcheck"]["interval"]


@pytest.mark.parametrize("image", images())
def test_image__always__names_a_version(image: str) -> None:
    name, _, tag = image.partition(":")

    assert name
    assert re.search(r"\d", tag), image
    assert "latest" not in tag


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_service__that_waits__waits_for_one_that_exists_and_can_tell(name: str) -> None:
    for other, terms in SERVICES[name].get("depends_on", {}).items():
        if terms["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert terms["condition"] == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "no"


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_mounts__of_a_service__exist_or_are_declared(name: str) -> None:
    for mount in SERVICES[name].get("volumes", []):
        source = mount.partition(":")[0]
        if source.startswith("./"):
            assert (ROOT / source).exists(), mount
        else:
            assert source in COMPOSE["volumes"], mount
    for config in SERVICES[name].get("configs", []):
        assert config["source"] in COMPOSE["configs"]


def test_ports__of_the_watchers_and_the_database__stay_on_this_machine() -> None:
    open_ports = {
        name: port
        for name, service in SERVICES.items()
        for port in service.get("ports", [])
        if not port.startswith("127.0.0.1:")
    }

    assert open_ports == {"proxy": "8000:8080"}


def test_secrets__in_compose__have_no_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()

    uses = re.findall(r"\$\{INNKEEPER_DB_PASSWORD[^}]*\}", text)
    assert uses
    assert [use for use in uses if ":?" not in use] == []


def test_superuser__in_compose__is_known_to_the_migration_alone() -> None:
    knowing = [
        name
        for name, service in SERVICES.items()
        if "DATABASE_ADMIN_URL" in (service.get("environment") or {})
    ]

    assert knowing == ["migrate"]


def test_image__of_ours__runs_as_somebody_without_rights_and_checks_itself() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]

    assert re.search(r"^USER innkeeper$", final, re.M)
    assert "HEALTHCHECK" in final
    assert "--require-hashes" in DOCKERFILE


def test_image__of_ours__holds_what_it_copies_and_not_the_rest() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    kept = [line[1:] for line in ignore if line.startswith("!")]

    assert ignore[0] == "*"
    assert [name for name in kept if not (ROOT / name).exists()] == []
    assert not {".venv", ".innkeeper", ".git", ".env", "tests"} & set(kept)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "platform" / "observability").rglob("*.yml")), ids=lambda path: path.name
)
def test_observability__always__parses(path: Path) -> None:
    assert isinstance(yaml.safe_load(path.read_text()), dict)


def test_alerts__all__have_an_expression_a_severity_and_words() -> None:
    rules = yaml.safe_load((ROOT / "platform" / "observability" / "rules.yml").read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]

    assert alerts
    for alert in alerts:
        assert alert["expr"]
        assert alert["labels"]["severity"] in {"page", "ticket"}
        assert alert["annotations"]["summary"].endswith(".")
