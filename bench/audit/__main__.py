"""``python -m bench.audit cost|seal|verify|proof|search|…``: figures and drills of the log.

Every measurement commits for real, as the application's own roles, and prints one JSON line.
Run it against a database of its own: INNKEEPER_HOME=… manage.py postgres start; manage.py migrate.
"""

import argparse
import json
import os
import sys
from uuid import UUID

import django


def main() -> int:
    """Run one measurement and print it."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("INNKEEPER_POOL_SIZE", "10")  # eight threads of a drill
    os.environ.setdefault("INNKEEPER_OUTBOUND_TARGETS", "127.0.0.0/8,::1/128")  # a drill's own
    django.setup()
    from bench.audit import measurements, sealing  # noqa: PLC0415 - Django must be set up first

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("measurement", choices=sorted([*measurements.ALL, "write"]))
    parser.add_argument("--count", type=int, default=0, help="how many; 0: the default of each")
    parser.add_argument("--tenants", nargs="*", default=[], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measurement == "write":
        sealing.writer(options.count, [UUID(one) for one in options.tenants])
        return 0
    result = measurements.ALL[options.measurement](options.count)
    sys.stdout.write(json.dumps({"measurement": options.measurement, **result}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
