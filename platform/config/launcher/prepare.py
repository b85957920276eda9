"""Bring schema and demo data up to date: ``python -m config.launcher.prepare [--demo FILE]``.

A process of its own, so that the launcher stays free of Django and small. All steps look first and
change only what is missing. Alone, as containers use it, it also waits for the server that
DATABASE_URL names and makes roles and database there if DATABASE_ADMIN_URL allows it.
"""

import argparse
import os

import django
from django.core.management import call_command

from config.launcher import schema
from kernel.postgres import Role, targets
from kernel.postgres.instance import server_of_environment
from kernel.postgres.targets import uses_own_server


def main() -> None:
    """Migrate as the owner, then seed the demo data if a file for it is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demo", help="seed demo data and write its keys to this file")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if uses_own_server():
        server_of_environment().start()
    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    schema.record(targets()[Role.OWNER])
    if options.demo:
        call_command("seed_demo", output=options.demo, verbosity=0)


if __name__ == "__main__":
    main()
