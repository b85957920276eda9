"""Foreign keys, migrations and SQL run down like imports do."""

import re
from collections.abc import Iterator
from functools import cache

from django.apps import apps
from django.db.migrations.loader import MigrationLoader

from tests.architecture.house import RANKS, may_know, short, sources

_SETTING = "__setting__"
_USERS = "accounts"


@cache
def tables() -> dict[str, str]:
    """Map every table of ours to its package."""
    return {
        model._meta.db_table: model._meta.app_label
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_label in RANKS
    }


def foreign_keys() -> Iterator[tuple[str, str, str]]:
    for model in apps.get_models(include_auto_created=True):
        source = model._meta.app_label
        for field in model._meta.get_fields():
            related = field.related_model
            if not field.concrete or related is None or source not in RANKS:
                continue
            if related._meta.app_label in RANKS:
                yield f"{model.__name__}.{field.name}", source, related._meta.app_label


def test_foreign_keys__between_packages__point_down() -> None:
    found = [
        f"{name}: {source} must not know {target}"
        for name, source, target in foreign_keys()
        if not may_know(source, target)
    ]

    assert found == []


def test_foreign_keys__of_the_log__do_not_exist() -> None:
    assert [name for name, source, target in foreign_keys() if source == "audit" != target] == []


def test_migrations__between_packages__depend_downwards() -> None:
    loader = MigrationLoader(None, ignore_no_migrations=True)
    found = []
    for (source, name), migration in loader.disk_migrations.items():
        for label, _ in [*migration.dependencies, *migration.run_before]:
            target = _USERS if label == _SETTING else label
            if source in RANKS and target in RANKS and not may_know(source, target):
                found.append(f"{source}.{name} must not know {target}")

    assert found == []


def test_sql__of_a_package__names_only_tables_of_its_own_and_below() -> None:
    found = []
    for package, path in [*sources(".sql"), *sources()]:
        if path.suffix == ".py" and "migrations" not in path.parts:
            continue
        for word in sorted(set(re.findall(r"[a-z_][a-z0-9_]*", path.read_text()))):
            owner = tables().get(word)
            if owner is not None and not may_know(package, owner):
                found.append(f"{short(path)} names {word} of {owner}")

    assert found == []


def test_sql__of_the_kernel__names_no_table_outside_the_gate_and_the_kernel() -> None:
    """Every relation after FROM, JOIN, INTO or UPDATE is schema-qualified or the kernel's own."""
    pattern = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+(?:ONLY\s+)?([a-z_]+(?:\.[a-z_]+)?)", re.I)
    others = {table for table, owner in tables().items() if owner != "kernel"}
    found = [
        f"{short(path)} names {name}"
        for package, path in sources(".sql")
        if package == "kernel"
        for name in pattern.findall(path.read_text())
        if name.rpartition(".")[2] in others
    ]

    assert found == []
