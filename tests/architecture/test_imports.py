"""What import-linter cannot see: imports inside functions, and models found by name."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.house import FOLDERS, short, sources

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [(node.module or "").partition(".")[0]] if node.level == 0 else ["."]
    return []


def hidden_imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for function in ast.walk(tree):
        if isinstance(function, FUNCTIONS):
            for node in ast.walk(function):
                for name in imported(node):
                    if name in FOLDERS or name == ".":
                        yield node.lineno, name


def calls_of(tree: ast.AST, wanted: str) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", None) == wanted:
            yield node.lineno


def parse(path: Path) -> ast.AST:
    return ast.parse(path.read_text(), filename=str(path))


def test_functions__everywhere__import_nothing_of_ours() -> None:
    found = [
        f"{short(path)}:{line} imports {name} inside a function"
        for _, path in sources()
        for line, name in hidden_imports(parse(path))
    ]

    assert found == []


def test_models__outside_migrations__are_never_looked_up_by_name() -> None:
    found = [
        f"{short(path)}:{line} calls get_model()"
        for _, path in sources()
        if "migrations" not in path.parts
        for line in calls_of(parse(path), "get_model")
    ]

    assert found == []


def test_imports__everywhere__are_absolute() -> None:
    found = [
        f"{short(path)}:{node.lineno}"
        for _, path in sources()
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ImportFrom) and node.level
    ]

    assert found == []
