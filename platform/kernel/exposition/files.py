"""The metrics of all processes that share a directory, read from upstream's files.

A file (``prometheus_client.mmap_dict``) is a list that only grows: after eight bytes, of which
the first four say how far it reaches, each entry is the length of its name in four bytes, the name
in JSON, spaces up to eight bytes, then value and time as two doubles. So a name is read once, and
after that its value is where it was. What several processes counted under one name adds up. Gauges,
a handful whose rules differ, are left to upstream.
"""

import struct
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from prometheus_client.multiprocess import MultiProcessCollector

from kernel.exposition.text import Ladder, Line, header, heads, plainly

_START = 8
_LENGTH = struct.Struct("i")
_DOUBLE = 8


class _Key(NamedTuple):
    family: str
    name: str
    labels: dict[str, str]
    documentation: str


class _File:
    """A file and where in it the values lie."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reach = _START
        self._places: list[int] = []
        self._slots: list[int] = []
        self.kind = path.name.partition("_")[0]

    def read(self) -> "tuple[memoryview[float], list[bytes]]":
        """Read the values as doubles, and the names that were added since the last time."""
        content = self._path.read_bytes()
        reach = _LENGTH.unpack_from(content)[0] if len(content) >= _START else 0
        added = []
        while self._reach < reach:
            length = _LENGTH.unpack_from(content, self._reach)[0]
            begin = self._reach + _LENGTH.size
            end = begin + length + _DOUBLE - (length + _LENGTH.size) % _DOUBLE
            added.append(content[begin : begin + length])
            self._places.append(end // _DOUBLE)
            self._reach = end + 2 * _DOUBLE
        whole = len(content) - len(content) % _DOUBLE
        return memoryview(content)[:whole].cast("d"), added

    def place(self, slots: list[int]) -> None:
        """Say where in the sums the values of added names belong."""
        self._slots += slots

    def add(self, values: "memoryview[float]", sums: list[float]) -> None:
        """Add the values to the sums."""
        for slot, place in zip(self._slots, self._places, strict=True):
            sums[slot] += values[place]


class _Family:
    """A metric and the series of it, each with the slots that its values have among the sums."""

    def __init__(self, key: _Key, kind: str) -> None:
        self.header = header(key.family, kind, key.documentation)
        self._name = key.family
        self._is_ladder = kind == "histogram"
        self._parts: dict[tuple[str, ...], dict[str, int]] = {}
        self._labels: dict[tuple[str, ...], dict[str, str]] = {}
        self._changed = True
        self._heads: dict[tuple[float, ...], list[str]] = {}
        self._series: list[tuple[Any, Any]] = []

    def add(self, key: _Key, slot: int) -> None:
        labels = {name: value for name, value in key.labels.items() if name != "le"}
        own = () if self._is_ladder else (key.name,)
        series = (*own, *sorted(labels), *(value for _, value in sorted(labels.items())))
        self._labels[series] = labels
        self._parts.setdefault(series, {})[key.labels.get("le", key.name)] = slot
        self._changed = True

    def write(self, sums: list[float]) -> list[str]:
        if self._changed:
            self._series = [self._made(series) for series in self._parts]
            self._changed = False
        return [self.header, *(series.write(pick(sums)) for series, pick in self._series)]

    def _made(self, series: tuple[str, ...]) -> tuple[Any, Any]:
        parts, labels = dict(self._parts[series]), self._labels[series]
        if not self._is_ladder:
            [(name, slot)] = parts.items()
            return Line(name, labels), itemgetter(slot)
        total = parts.pop(f"{self._name}_sum")
        slots = {float(bound): slot for bound, slot in parts.items()}
        bounds = tuple(sorted(slots))
        if bounds not in self._heads:
            self._heads[bounds] = heads(self._name, bounds)
        pick = itemgetter(total, *(slots[bound] for bound in bounds))
        return Ladder(self._heads[bounds], self._name, labels), pick


class Shared:
    """The page of a directory; what it read and wrote it keeps for the next time."""

    def __init__(self, directory: str) -> None:
        """Show the files that lie there when a page is asked for."""
        self._directory = Path(directory)
        self._forget()

    def page(self) -> bytes:
        """Write every metric."""
        paths = sorted(self._directory.glob("*.db"))
        gauges = [str(path) for path in paths if path.name.startswith("gauge_")]
        counted = [path for path in paths if not path.name.startswith("gauge_")]
        lines = plainly(MultiProcessCollector.merge(gauges))  # type: ignore[no-untyped-call]
        return "".join([*lines, *self._counted(counted)]).encode()

    def _forget(self) -> None:
        self._files: dict[tuple[Path, int], _File] = {}
        self._slots: dict[bytes, int] = {}
        self._families: dict[str, _Family] = {}

    def _counted(self, paths: list[Path]) -> list[str]:
        files = {(path, path.stat().st_ino): path for path in paths}
        if set(self._files) - set(files):
            self._forget()  # the directory was wiped
        reads = []
        for key, path in files.items():
            file = self._files.setdefault(key, _File(path))
            values, added = file.read()
            file.place([self._slot(name, file.kind) for name in added])
            reads.append((file, values))
        sums = [0.0] * len(self._slots)
        for file, values in reads:
            file.add(values, sums)
        return [line for family in self._families.values() for line in family.write(sums)]

    def _slot(self, name: bytes, kind: str) -> int:
        slot = self._slots.get(name)
        if slot is None:
            slot = self._slots[name] = len(self._slots)
            key = _Key(*orjson.loads(name))
            if key.family not in self._families:
                self._families[key.family] = _Family(key, kind)
            self._families[key.family].add(key, slot)
        return slot
