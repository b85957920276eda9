"""``manage.py worker``: run the background services until told to stop."""

import signal
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from kernel import events, idempotency
from kernel.db import use_alias
from kernel.events import relay
from kernel.gate import failures
from kernel.jobs import engine
from kernel.jobs.queue import JobRequested
from kernel.jobs.services import every, services
from kernel.jobs.supervisor import Supervisor
from kernel.vitals import exporter

HOUR_S = 3600.0


class Command(BaseCommand):
    """Runs outbox relay, job queue, reaper, purges and what the apps registered."""

    help = "Run the background services: outbox, jobs, sealing, usage. Ctrl-C or SIGTERM stops."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare ``--only``."""
        parser.add_argument("--only", nargs="+", metavar="SERVICE", help="run these services only")
        parser.add_argument("--list", action="store_true", help="list the services and exit")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until SIGTERM or SIGINT; exit 1 if a service did not end in time."""
        self._register()
        known = {service.name: service for service in services.all()}
        if options["list"]:
            self.stdout.write("\n".join(known))
            return
        wanted = options["only"] or list(known)
        if unknown := [name for name in wanted if name not in known]:
            raise CommandError(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
        _leave_pools()
        supervisor = Supervisor([known[name] for name in wanted])
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: supervisor.stop())
        if not supervisor.run():
            raise CommandError("some services did not end in time")

    def _register(self) -> None:
        events.subscribe(JobRequested.name, "queue", engine.move)
        engine.schedule()
        services.register("outbox", relay.Relay().run)
        services.register("jobs", engine.run_worker)
        services.register("reaper", engine.run_reaper)
        services.register("purge", every(HOUR_S, purge))
        if settings.INNKEEPER_WORKER_METRICS:
            services.register("metrics", exporter.run)


def _leave_pools() -> None:
    """Give each service its own connections: it holds them for life, and a pool would run dry."""
    for settings_of in connections.settings.values():
        settings_of["OPTIONS"].pop("pool", None)


def purge() -> None:
    """Delete what is kept for a while only: delivered events, idempotency records, failures."""
    with use_alias("staff"):
        relay.purge()
        idempotency.purge()
        failures.forget()
