"""``python -m bench.usage access|consumes|kill|memory|query|writer``: drills of metering, figures.

Each starts a system of its own as ``make run`` does, commits for real, prints one JSON line and
removes everything again. Nothing else should run on the machine. ``--help`` of each tells more.
Exit status 1: what the drill claims (``holds``) was not found.
"""

import argparse
import json
import sys

from bench.usage import access, consumes, kill, memory, query, writer

MEASUREMENTS = {
    "access": access,
    "consumes": consumes,
    "kill": kill,
    "memory": memory,
    "query": query,
    "writer": writer,
}


def main() -> int:
    """Run one measurement and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    chosen = parser.add_subparsers(dest="measurement", required=True)
    for name, module in MEASUREMENTS.items():
        module.add_arguments(chosen.add_parser(name, description=module.__doc__))
    options = parser.parse_args()
    result = MEASUREMENTS[options.measurement].run(options)
    sys.stdout.write(json.dumps({"measurement": options.measurement, **result}) + "\n")
    return 0 if result.get("holds", True) else 1


if __name__ == "__main__":
    sys.exit(main())
