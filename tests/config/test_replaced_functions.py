"""SQL functions that a later file replaced: the folder's README names the body that holds."""

import re
from pathlib import Path

import pytest

from kernel import db

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("platform/kernel/sql", "billing/usage/sql", "audit/sql")
_DEFINED = re.compile(r"CREATE (?:OR REPLACE )?FUNCTION ([a-z_.]+)", re.IGNORECASE)
_ROW = re.compile(r"^\| ([a-z_]+\.sql)[^|]*\|[^|]*\| ([a-z_., ]+) \|$", re.MULTILINE)


def replaced(folder: Path) -> dict[str, set[str]]:
    """The functions that more than one file defines, with those files."""
    found: dict[str, set[str]] = {}
    for file in folder.glob("*.sql"):
        for name in _DEFINED.findall(file.read_text(encoding="utf-8")):
            found.setdefault(name, set()).add(file.name)
    return {name: files for name, files in found.items() if len(files) > 1}


def listed(folder: Path) -> dict[str, str]:
    """What the README says: the file that holds each replaced function."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    return {name: file for file, names in _ROW.findall(text) for name in names.split(", ")}


def read(file: Path) -> str:
    """The text as its migration runs it: `merge.sql` stands in for its mark."""
    merge = ROOT / "billing/usage/sql/merge.sql"
    clause = merge.read_text(encoding="utf-8").partition("\n")[2].rstrip()
    return file.read_text(encoding="utf-8").replace("-- {{merge}}", clause)


@pytest.mark.parametrize("path", FOLDERS)
def test_readme__replaced_functions__are_listed_each(path):
    folder = ROOT / path
    assert set(listed(folder)) == set(replaced(folder))


@pytest.mark.parametrize("path", FOLDERS)
def test_readme__file_of_a_replaced_function__is_what_runs(database, path):
    folder = ROOT / path
    for name, file in listed(folder).items():
        schema, _, bare = name.rpartition(".")
        bodies = db.rows(
            "SELECT p.prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
            " WHERE n.nspname = $1::text AND p.proname = $2::text",
            [schema or "public", bare],
        )
        text = read(folder / file)
        assert [body for (body,) in bodies if body in text], name
        older = replaced(folder)[name] - {file}
        for other in older:
            stale = read(folder / other)
            assert not [body for (body,) in bodies if body in stale], (name, other)
