"""``python -m bench.usage query``: figures of meters over a month of many tenants' events.

Starts a system of its own as ``make run`` does, loads the events over HTTP (a million take some
minutes), waits until the worker has counted everything, asks, prints one JSON line and removes it
all again. Commits for real; nothing else should run on the machine.
"""

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from bench.systems import innkeeper
from bench.usage import loading, query


def main() -> int:
    """Run one measurement and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("measurement", choices=["query"])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--tenants", type=int, default=100)
    parser.add_argument("--rate", type=float, default=40.0, help="queries a second, all tenants")
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="innkeeper-bench-")))
        folder.chmod(0o711)  # the database's account passes through
        system = innkeeper.start(folder)
        stack.callback(system.server.close)
        month = loading.load(system, options.tenants, options.events, say)
        asked = query.run(system, month, rate=options.rate, seconds=options.seconds, say=say)
    result = {"events": options.events, "tenants": options.tenants, **asdict(asked)}
    sys.stdout.write(json.dumps({"measurement": "query", **result}) + "\n")
    return 0


def say(words: str) -> None:
    """Tell the person who waits."""
    sys.stderr.write(f"{words}\n")


if __name__ == "__main__":
    sys.exit(main())
