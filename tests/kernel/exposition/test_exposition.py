"""The page says what prometheus_client's own page says, of one process and of several."""

import contextlib
import math

import pytest
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Summary,
    generate_latest,
)
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families

from kernel.exposition.files import Shared
from kernel.exposition.own import Own

ODD = 'a "quoted"\\path\nand a line'


def said(page: bytes) -> dict:
    """Read a page as Prometheus does: family by family, without order and creation times."""
    found = {}
    for family in text_string_to_metric_families(page.decode()):
        if family.name.endswith("_created"):
            continue
        samples = {(one.name, frozenset(one.labels.items())): one.value for one in family.samples}
        assert len(samples) == len(family.samples), family.name
        found[family.name, family.type, family.documentation] = samples
    return found


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def test_own_page__of_every_kind_of_metric__is_upstreams(registry):
    answers = Counter("answers", "How many\nanswers", ["view", "status"], registry=registry)
    seconds = Histogram("seconds", "Took", ["view"], buckets=(0.001, 2.5), registry=registry)
    Histogram("alone", "Without labels", registry=registry).observe(3)
    Counter("plain", "Without labels", registry=registry).inc(2_500_000)
    Gauge("level", "A level", ["mode"], registry=registry).labels("x").set(-math.inf)
    Summary("sizes", "Sizes", registry=registry).observe(4)
    own = Own(registry)
    for view in ("livez", ODD, "livez"):  # the third time changes one series and leaves another
        answers.labels(view, "200").inc()
        seconds.labels(view).observe(0.0005)
        seconds.labels(view).observe(7)
        assert said(own.page()) == said(generate_latest(registry))


class Process:
    """What a process writes into the directory that it shares."""

    def __init__(self, directory, pid, closing):
        def file(kind):
            return closing.enter_context(
                contextlib.closing(MmapedDict(str(directory / f"{kind}_{pid}.db")))
            )

        self._counters, self._ladders = file("counter"), file("histogram")
        self._gauges = file("gauge_liveall")

    def write(self, view, number):
        self._counters.write_value(
            mmap_key("answers", "answers_total", ["view"], [view], "How many"), number, 0
        )
        self._gauges.write_value(mmap_key("bytes", "bytes", [], [], "Memory"), number * 1e7, 0)
        for name, label, value in (
            ("seconds_sum", None, number / 3),
            ("seconds_bucket", "0.0025", number),
            ("seconds_bucket", "1.0", 0.0),
            ("seconds_bucket", "+Inf", 2.0),
        ):
            names, values = (["view"], [view]) if label is None else (["view", "le"], [view, label])
            self._ladders.write_value(mmap_key("seconds", name, names, values, "Took"), value, 0)


@pytest.fixture
def process(tmp_path):
    with contextlib.ExitStack() as closing:
        yield lambda pid: Process(tmp_path, pid, closing)


def upstreams(directory) -> bytes:
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(directory))
    return generate_latest(registry)


def test_shared_page__of_two_processes_that_go_on__is_upstreams(tmp_path, process):
    shared = Shared(str(tmp_path))
    assert shared.page() == b""
    one = process(11)
    one.write("livez", 3)
    assert said(shared.page()) == said(upstreams(tmp_path))
    two = process(12)
    two.write(ODD, 5)
    two.write("livez", 1_000_000)
    assert said(shared.page()) == said(upstreams(tmp_path))
    one.write("livez", 4)
    for number in range(600):  # the file grows beyond its first size, its old entries stay
        one.write(f"route/{number}", number)
    found = said(shared.page())
    assert found == said(upstreams(tmp_path))
    answers = found["answers", "counter", "How many"]
    assert answers["answers_total", frozenset({("view", "livez")})] == 1_000_004


def test_shared_page__of_a_directory_wiped_and_filled_anew__forgets_what_was(tmp_path, process):
    shared = Shared(str(tmp_path))
    process(11).write("livez", 3)
    shared.page()
    for path in tmp_path.iterdir():
        path.unlink()
    process(12).write("readyz", 1)
    page = shared.page()
    assert said(page) == said(upstreams(tmp_path))
    assert b"livez" not in page
