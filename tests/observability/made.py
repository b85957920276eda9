"""Which metrics the code makes, and which a PromQL expression reads."""

import re

from django_prometheus.middleware import Metrics
from prometheus_client import REGISTRY, CollectorRegistry, ProcessCollector

from audit import metrics as audit_metrics
from kernel.vitals import memory, slow
from kernel.vitals.background import Background

# Words of PromQL that these expressions use; labels in braces and by (...) are cut out before.
_WORDS = {"sum", "max", "min", "absent", "rate", "increase", "delta", "deriv", "vector"} | {
    "histogram_quantile", "or", "and", "by",
}  # fmt: skip
_NAME = re.compile(r"(?<![\w.])[a-zA-Z_:][a-zA-Z0-9_:]*")
# What Prometheus itself makes of each scrape.
_OF_PROMETHEUS = {"up"}
# Importing them is what registers their metrics.
_REGISTERED = (audit_metrics, memory, slow)


def made_metrics() -> set[str]:
    """List the names of all samples that a server or a worker may show."""
    Metrics.get_instance()
    families = [*REGISTRY.collect(), *Background().collect()]
    families += ProcessCollector(registry=CollectorRegistry()).collect()
    names = set(_OF_PROMETHEUS)
    for family in families:
        names |= {family.name + suffix for suffix in _SUFFIXES[family.type]}
    return names


_SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
    "summary": ("_count", "_sum", ""),
    "info": ("_info",),
    "unknown": ("",),
}


def used_metrics(expression: str) -> set[str]:
    """List the metrics that an expression reads: words that are no function, label or duration."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]|by \([^)]*\)|\"[^\"]*\"", " ", expression)
    return {name for name in _NAME.findall(bare) if name not in _WORDS}
