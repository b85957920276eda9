"""Rows as lines of CSV that no spreadsheet executes."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any, Final

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def written(rows: Iterable[Sequence[Any]]) -> bytes:
    """Write rows as RFC 4180 has them, in UTF-8."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def harmless(cell: object) -> object:
    """Put an apostrophe before a text that a spreadsheet would take for a formula.

    OWASP, "CSV Injection". For texts of callers only: a number that is written as text may begin
    with a minus.
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
