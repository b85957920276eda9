"""The fast text format says what prometheus_client's own says."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from kernel import exposition


def read(text: bytes):
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): (family.type, sample.value)
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def filled() -> CollectorRegistry:
    registry = CollectorRegistry()
    counter = Counter("things", 'With "quotes" and\nlines.', ["kind"], registry=registry)
    counter.labels('a"b\\c\nd').inc(3)
    counter.labels("").inc()
    Gauge("level", "A level.", registry=registry).set(float("inf"))
    histogram = Histogram("wait", "Seconds.", ["view"], buckets=(0.1, 1.0), registry=registry)
    for value in (0.05, 0.5, 5.0):
        histogram.labels("x").observe(value)
    return registry


def test_write__all_kinds_and_odd_labels__reads_like_the_library_s_own():
    registry = filled()
    assert read(exposition.write(registry.collect())) == read(generate_latest(registry))
    assert len(read(exposition.write(registry.collect()))) == 8


def test_write__again__same_bytes_from_what_is_kept():
    registry = filled()
    assert exposition.write(registry.collect()) == exposition.write(registry.collect())


def test_kept__too_many_series__is_bounded(monkeypatch):
    monkeypatch.setattr(exposition, "MAX_KEPT", 2)
    monkeypatch.setattr(exposition, "_kept", {})
    exposition.write(filled().collect())
    assert len(exposition._kept) <= 2
