"""``manage.py postgres``: the embedded server by hand."""

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from kernel.postgres import ConnectionTarget, PostgresError, Role, targets
from kernel.postgres.instance import server_of_environment
from kernel.postgres.provider import Provider

_ROLES = {
    "app": Role.APP,
    "staff": Role.STAFF,
    "owner": Role.OWNER,
    "sealer": Role.SEALER,
}


class Command(BaseCommand):
    """Start, stop and look at PostgreSQL, or open psql as one of the roles."""

    help = "Start, stop or inspect the embedded PostgreSQL, or open psql."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the action and psql's role."""
        parser.add_argument("action", choices=["start", "stop", "status", "psql"])
        parser.add_argument("--role", choices=sorted(_ROLES), default="app")
        parser.add_argument("-c", "--command", help="what psql runs, instead of reading its input")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what is asked.

        Raises:
            CommandError: the server cannot be used; the text says what to do.
        """
        try:
            if options["action"] == "psql":
                self._psql(_ROLES[options["role"]], options["command"])
            else:
                self._serve(options["action"])
        except PostgresError as error:
            raise CommandError(str(error)) from error

    def _serve(self, action: str) -> None:
        server = server_of_environment(say=self.stdout.write)
        if action == "start":
            server.start()
        elif action == "stop" and not server.stop():
            self.stdout.write("Nothing to stop.")
        self.stdout.write(server.describe())

    def _psql(self, role: Role, command: str | None) -> None:
        """Become psql. A password travels in the environment, where ``ps`` does not show it."""
        target = targets()[role]
        program = Provider.find().bin / "psql"
        if target.password:
            os.environ["PGPASSWORD"] = target.password
        arguments = [str(program), _without_password(target)]
        if command is not None:
            arguments += ["-c", command]
        if not program.exists():
            raise PostgresError(f"{program} does not exist.")
        os.execv(program, arguments)  # noqa: S606 - becoming psql is the purpose


def _without_password(target: ConnectionTarget) -> str:
    return ConnectionTarget(
        target.host, target.port, target.name, target.user, options=target.options
    ).dsn()
