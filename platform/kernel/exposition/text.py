"""Lines of the Prometheus text format, kept as long as their values stay."""

from collections.abc import Iterable, Mapping

from prometheus_client import Metric
from prometheus_client.utils import floatToGoString

_TYPES = {"unknown": "untyped", "info": "gauge", "stateset": "gauge"}
_PLAIN = 1e6
"""Below it Python writes a float as Go does."""


class Line:
    """One sample under one set of labels, such as a counter."""

    __slots__ = ("_before", "_text", "_value")

    def __init__(self, name: str, labels: Mapping[str, str]) -> None:
        """Make what stands before the value."""
        self._before = f"{name}{{{written(labels)}}} " if labels else f"{name} "
        self._value: float | None = None
        self._text = ""

    def write(self, value: float) -> str:
        """Write the sample."""
        if value != self._value:
            self._value, self._text = value, f"{self._before}{number(value)}\n"
        return self._text


class Ladder:
    """A histogram under one set of labels: its buckets, what they count together, the sum."""

    __slots__ = ("_heads", "_name", "_tail", "_text", "_values")

    def __init__(self, heads: list[str], name: str, labels: Mapping[str, str]) -> None:
        """Make what stands before the values; ``heads`` has one start for each bucket."""
        rest = written(labels)
        self._heads = heads
        self._name = name
        self._tail = f",{rest}}} " if rest else "} "
        self._values: tuple[float, ...] = ()
        self._text = ""

    def write(self, values: tuple[float, ...]) -> str:
        """Write the samples of ``values``: the sum, then each bucket's own count, upwards."""
        if values == self._values:
            return self._text
        self._values = values
        total, *counts = values
        lines, reached, tail = [], 0.0, self._tail
        for head, count in zip(self._heads, counts, strict=True):
            reached += count
            lines.append(f"{head}{tail}{number(reached)}\n")
        labels = f"{{{tail[1:]}" if tail[0] == "," else " "
        lines.append(f"{self._name}_count{labels}{number(reached)}\n")
        lines.append(f"{self._name}_sum{labels}{number(total)}\n")
        self._text = "".join(lines)
        return self._text


def heads(name: str, bounds: Iterable[float]) -> list[str]:
    """Write the start of each bucket's line: what all series of a histogram have in common."""
    return [f'{name}_bucket{{le="{number(bound)}"' for bound in bounds]


def header(name: str, kind: str, documentation: str) -> str:
    """Write the two lines that stand before the samples of a metric."""
    name = f"{name}_total" if kind == "counter" else name
    kind = _TYPES.get(kind, kind)
    return f"# HELP {name} {_escaped(documentation)}\n# TYPE {name} {kind}\n"


def plainly(families: Iterable[Metric]) -> list[str]:
    """Write whole metrics; samples of creation times, which no rule reads, are left out."""
    lines = []
    for family in families:
        lines.append(header(family.name, family.type, family.documentation))
        lines += [
            Line(sample.name, sample.labels).write(sample.value)
            for sample in family.samples
            if not sample.name.endswith("_created")
        ]
    return lines


def written(labels: Mapping[str, str]) -> str:
    """Write labels as they stand between braces."""
    return ",".join(
        f'{name}="{_escaped(value, quote=True)}"' for name, value in sorted(labels.items())
    )


def number(value: float) -> str:
    """Write a value."""
    if -_PLAIN < value < _PLAIN:
        return repr(value)
    text: str = floatToGoString(value)  # type: ignore[no-untyped-call]  # upstream's own
    return text


def _escaped(text: str, *, quote: bool = False) -> str:
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    return text.replace('"', r"\"") if quote else text
