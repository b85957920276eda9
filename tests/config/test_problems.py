"""Every code that can be answered has a page, and every page's code exists."""

import ast
from pathlib import Path

from config.problems import PAGES

ROOT = Path(__file__).parents[2]
APPS = ["platform", "tenants", "accounts", "billing", "audit"]


def codes_in_source() -> set[str]:
    """Collect class-level ``code = "…"`` of errors and ``code="…"`` arguments of raised errors."""
    found = set()
    for path in (p for app in APPS for p in (ROOT / app).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any(map(is_error, node.bases)):
                found |= {
                    item.value.value
                    for item in node.body
                    if isinstance(item, ast.Assign)
                    and getattr(item.targets[0], "id", "") == "code"
                    and isinstance(item.value, ast.Constant)
                }
            if isinstance(node, ast.Call) and is_error(node.func):
                found |= {
                    keyword.value.value
                    for keyword in node.keywords
                    if keyword.arg == "code" and isinstance(keyword.value, ast.Constant)
                }
    return found - {"error"}


KINDS = {
    "DomainError", "Invalid", "Unauthenticated", "Forbidden", "NotFound", "Conflict", "Gone",
    "PreconditionFailed", "Unprocessable", "RateLimited", "QuotaExceeded", "TooLarge",
    "UnsupportedMediaType", "MethodNotAllowed", "NotAcceptable", "Unavailable",
}  # fmt: skip


def is_error(node) -> bool:
    return (getattr(node, "id", None) or getattr(node, "attr", "")) in KINDS


def test_pages__all_codes_of_the_code__explained_and_no_others():
    assert codes_in_source() == set(PAGES)


def test_page__known_code__explains_it_and_unknown_is_404(client):
    page = client.get("/problems/quota_exceeded")
    assert page.status_code == 200
    assert "Retry-After" in page.content.decode()
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert client.get("/problems/unknown-code").status_code == 404


def test_root__anyone__says_where_things_are(client):
    assert client.get("/").json()["name"] == "Innkeeper"
