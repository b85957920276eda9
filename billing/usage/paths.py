"""The JSONPath subset of meters: ``$.a.b``, ``$['a']``, ``$["a"]``, ``$.a[0]``."""

import re
from typing import Final

from kernel.errors import Invalid

_STEP: Final = re.compile(
    r"\.([^.\[\]'\"\s]+)|\[(\d{1,6})\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]"
)


def parse(path: str, pointer: str) -> list[str]:
    """Split a path into steps, as PostgreSQL's ``#>`` takes them.

    Args:
        path: the path; it starts with ``$`` and has at least one step.
        pointer: the JSON pointer of the field, for the error.

    Raises:
        kernel.errors.Invalid: not of the subset.
    """
    steps: list[str] = []
    place = 1
    while path[:1] == "$" and place < len(path):
        match = _STEP.match(path, place)
        if match is None:
            break
        name = next(group for group in match.groups() if group is not None)
        steps.append(re.sub(r"\\(.)", r"\1", name))
        place = match.end()
    if not steps or place != len(path):
        raise Invalid(
            f"{path!r} is no path of the form $.name, $.a.b, $['a b'] or $.list[0].",
            code="invalid_path",
            pointer=pointer,
        )
    return steps
