"""``manage.py doctor``: what it prints, and the exit status that machines read."""

import io
import json

import pytest
from django.core.management import call_command

from kernel.doctor import Finding, Verdict
from kernel.management.commands import doctor as command

FINE = Finding("clock", Verdict.OK, "on time")
SOON = Finding("disk", Verdict.WARNING, "filling up", "Make room.")
BAD = Finding("fence", Verdict.FAILED, "public.x: open", "Close [it].")


@pytest.fixture
def findings(monkeypatch):
    found = []
    monkeypatch.setattr(command, "examine", lambda: found)
    return found


def run(*arguments):
    out = io.StringIO()
    status = 0
    try:
        call_command("doctor", *arguments, stdout=out)
    except SystemExit as left:
        status = left.code
    return status, out.getvalue()


def test_doctor__warnings_only__status_0_and_says_what_to_do(findings):
    findings += [FINE, SOON]
    status, text = run()
    assert status == 0
    assert "on time" in text
    assert "Make room." in text


def test_doctor__one_failure__status_1_and_prints_brackets_as_they_are(findings):
    findings += [FINE, BAD]
    status, text = run()
    assert status == 1
    assert "Close [it]." in text


def test_doctor__quiet_and_all_ok__says_nothing(findings):
    findings += [FINE]
    assert run("--quiet") == (0, "")


def test_doctor__quiet__shows_what_is_not_ok(findings):
    findings += [FINE, BAD]
    status, text = run("--quiet")
    assert status == 1
    assert "public.x: open" in text
    assert "on time" not in text


def test_doctor__json__is_one_document(findings):
    findings += [FINE, BAD]
    status, text = run("--json")
    assert status == 1
    assert json.loads(text) == {
        "healthy": False,
        "findings": [
            {"check": "clock", "verdict": "ok", "detail": "on time", "remedy": ""},
            {
                "check": "fence",
                "verdict": "failed",
                "detail": "public.x: open",
                "remedy": "Close [it].",
            },
        ],
    }


def test_doctor__long_path__is_not_wrapped_where_no_terminal_reads(findings):
    path = "/srv/" + "x" * 200
    findings += [Finding("keys", Verdict.FAILED, path, "chmod")]
    assert path in run()[1]
