"""Ask the values of many metered features of many tenants in one call, all of them used.

Every feature counts a meter of its own and is granted to every tenant with a limit. The application
answers in this process, its database is a throw-away cluster. `holds`: the median is below 1 s, and
the number of statements does not grow with the number of tenants.
"""

import argparse
import os
import statistics
from typing import Any

import django

from kernel.postgres.throwaway import ThrowawayCluster

BAR_S = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take how many are asked about, and how often."""
    parser.add_argument("--tenants", type=int, default=100, help="up to 100")
    parser.add_argument("--features", type=int, default=100, help="up to 100")
    parser.add_argument("--calls", type=int, default=11)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Make a database, fill it, ask."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from bench.usage import access_world  # noqa: PLC0415 - Django must be set up first

    cluster = ThrowawayCluster.create()
    try:
        access_world.prepare(cluster)
        world = access_world.fill(options.tenants, options.features)
        few = access_world.statements(world, 1)
        many = access_world.statements(world, options.tenants)
        seconds = [access_world.ask(world) for _ in range(options.calls)]
    finally:
        access_world.close()
        cluster.leave()
    median = statistics.median(seconds)
    return {
        "tenants": options.tenants,
        "features": options.features,
        "seconds": {"p50": round(median, 3), "max": round(max(seconds), 3)},
        "statements": {"one_tenant": few, "all_tenants": many},
        "holds": median < BAR_S and few == many,
    }
