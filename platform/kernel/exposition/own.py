"""The metrics of this process alone, read from where ``prometheus_client`` counts.

Histograms and counters with labels are most of a page; everything else is asked as upstream would.
The attributes read here are private to upstream, whose version is pinned: its own page is what the
tests compare with.
"""

from collections.abc import Iterator
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from kernel.exposition.text import Ladder, Line, header, heads, plainly

_Labels = tuple[str, ...]


class Own:
    """The page of one registry; what it wrote it keeps for the next time."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Show what is registered when a page is asked for."""
        self._registry = registry
        self._lines: WeakKeyDictionary[Counter, dict[_Labels, Line]] = WeakKeyDictionary()
        self._ladders: WeakKeyDictionary[Histogram, dict[_Labels, Ladder]] = WeakKeyDictionary()
        self._heads: WeakKeyDictionary[Histogram, list[str]] = WeakKeyDictionary()

    def page(self) -> bytes:
        """Write every metric."""
        return "".join(part for one in self._collectors() for part in self._write(one)).encode()

    def _collectors(self) -> list[Collector]:
        with self._registry._lock:
            return list(self._registry._collector_to_names)

    def _write(self, collector: Collector) -> Iterator[str]:
        if isinstance(collector, Histogram):
            yield from self._histogram(collector)
        elif isinstance(collector, Counter):
            yield from self._counter(collector)
        else:
            yield from plainly(collector.collect())

    def _counter(self, counter: Counter) -> Iterator[str]:
        yield header(counter._name, "counter", counter._documentation)
        kept = self._lines.setdefault(counter, {})
        for values, child in _children(counter):
            line = kept.get(values)
            if line is None:
                labels = dict(zip(counter._labelnames, values, strict=True))
                line = kept[values] = Line(f"{counter._name}_total", labels)
            yield line.write(child._value.get())  # type: ignore[attr-defined]  # a counter's

    def _histogram(self, histogram: Histogram) -> Iterator[str]:
        name = histogram._name
        yield header(name, "histogram", histogram._documentation)
        kept = self._ladders.setdefault(histogram, {})
        for values, child in _children(histogram):
            ladder = kept.get(values)
            if ladder is None:
                labels = dict(zip(histogram._labelnames, values, strict=True))
                ladder = Ladder(self._starts(histogram), name, labels)
                kept[values] = ladder
            buckets = [bucket.get() for bucket in child._buckets]  # type: ignore[attr-defined]
            yield ladder.write((child._sum.get(), *buckets))  # type: ignore[attr-defined]

    def _starts(self, histogram: Histogram) -> list[str]:
        found = self._heads.get(histogram)
        if found is None:
            found = self._heads[histogram] = heads(histogram._name, histogram._upper_bounds)
        return found


def _children(metric: MetricWrapperBase) -> list[tuple[_Labels, MetricWrapperBase]]:
    if not metric._labelnames:
        return [((), metric)]
    with metric._lock:
        return [(tuple(values), child) for values, child in metric._metrics.items()]
