"""The run itself: bring everything up in order, watch it, take it down in reverse."""

import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console

from config.launcher import demo, schema, server
from config.launcher.children import Child
from config.launcher.options import MULTIPROCESS, LaunchError, Options
from config.launcher.probe import LOST, Probe
from config.launcher.record import RunRecord
from kernel.postgres import Role, targets
from kernel.postgres.errors import PostgresError
from kernel.postgres.home import make_home
from kernel.postgres.instance import server_of_environment

_POLL = 0.1
_READY_SECONDS = 120.0
_STOP_SECONDS = 30.0
_RESTART_PAUSES = (1.0, 2.0, 5.0, 15.0, 30.0)


class Launcher:
    """One run of Innkeeper on this machine."""

    def __init__(self, options: Options, console: Console) -> None:
        self._options = options
        self._console = console
        self._environ = server.environment(options)
        self._children: list[Child] = []
        self._probe = Probe(options.base_url)
        self._worker_deaths = 0

    def run(self) -> int:
        """Serve until a signal (status 0) or the death of the server (status 1).

        Raises:
            LaunchError: something cannot be started; what was started is stopped.
        """
        record = RunRecord(self._options)
        database = server_of_environment(self._environ, self._plain)
        try:
            self._end_orphans(record)
            server.wipe_metrics(self._options.metrics)
            _refuse_taken_port(self._options)
            with self._step("PostgreSQL"):
                record.note_server(started=database.start())
            if not self._prepared():
                with self._step("Schema and demo data"):
                    self._prepare()
            with self._step("Server"):
                self._start_serving(record)
            states = self._probe.states(demo.read(self._options))
            if LOST & set(states.values()):
                with self._step("Demo data"):
                    self._prepare()
                states = self._probe.states(demo.read(self._options))
            self._start_worker(record)
            self._show(states)
            return self._watch(record)
        except KeyboardInterrupt:
            return 0
        finally:
            _ignore_signals()
            self._stop_children()
            if record.owns_server:
                database.stop()
            record.close()
            self._console.print("Stopped.")

    def _end_orphans(self, record: RunRecord) -> None:
        for name in record.end_orphans():
            self._console.print(f"Ended the {name} of an earlier run that was killed.")

    def _prepared(self) -> bool:
        """Look whether schema and demo are there: a second start need not load Django for it."""
        app = targets(self._environ)[Role.APP]
        return demo.usable(self._options) and schema.recorded(app) == schema.digest()

    def _prepare(self) -> None:
        arguments = ["--demo", str(self._options.home / demo.NAME)]
        child = self._spawn(
            "prepare", [*server.PYTHON, "-m", "config.launcher.prepare", *arguments]
        )
        self._children.append(child)
        if child.wait() != 0:
            raise LaunchError(f"The database could not be prepared:\n{child.last_words(30)}")
        self._children.remove(child)

    def _start_serving(self, record: RunRecord) -> None:
        serving = self._spawn("server", server.command(self._options))
        self._children.append(serving)
        record.note_child(serving.name, serving.pid)
        deadline = time.monotonic() + _READY_SECONDS
        while not self._probe.ready():
            if (status := serving.ended()) is not None:
                raise LaunchError(f"The server ended with {status}:\n{serving.last_words()}")
            if time.monotonic() > deadline:
                raise LaunchError(f"Not ready in {_READY_SECONDS:.0f} s:\n{serving.last_words()}")
            time.sleep(_POLL)

    def _start_worker(self, record: RunRecord) -> None:
        worker = self._spawn_worker()
        self._children.append(worker)
        record.note_child(worker.name, worker.pid)

    def _spawn_worker(self) -> Child:
        return self._spawn("worker", [*server.PYTHON, "-m", "django", "worker"])

    def _spawn(self, name: str, command: list[str]) -> Child:
        """Start a process; only the serving ones share a directory of metrics."""
        environ = self._environ
        if name != "server":
            environ = {key: value for key, value in environ.items() if key != MULTIPROCESS}
        return Child(name, command, environ, self._options.logs / f"{name}.log")

    def _watch(self, record: RunRecord) -> int:
        """Report deaths: without the server there is no run, the worker is started again."""
        while True:
            time.sleep(_POLL)
            for child in list(self._children):
                status = child.ended()
                if status is None:
                    continue
                self._plain(f"The {child.name} ended with {status}:\n{child.last_words()}")
                if child.name == "server":
                    return 1
                self._restart_worker(child, record)

    def _restart_worker(self, dead: Child, record: RunRecord) -> None:
        pause = _RESTART_PAUSES[min(self._worker_deaths, len(_RESTART_PAUSES) - 1)]
        self._worker_deaths += 1
        self._console.print(f"Starting the worker again in {pause:.0f} s.")
        time.sleep(pause)
        fresh = self._spawn_worker()
        self._children[self._children.index(dead)] = fresh
        record.note_child(fresh.name, fresh.pid)

    def _stop_children(self) -> None:
        deadline = time.monotonic() + _STOP_SECONDS
        for child in self._children:
            child.ask_to_stop()
        for child in self._children:
            child.see_off(deadline)

    def _show(self, states: Mapping[str, str]) -> None:
        found = demo.complete(self._options)
        tenant = demo.showcase(found)
        facts = {
            "URL": f"{self._options.base_url}  (docs at /api/docs)",
            "Admin": f"{found['admin'].get('url')}  {found['admin']['username']} / "
            f"{found['admin']['password']}",
            "Tenant key": f"{tenant['key']}  ({tenant['slug']}, {tenant['plan']})",
            "Platform key": found["platform_key"],
            "All keys": str(self._options.home / demo.NAME),
            "Logs": str(self._options.logs),
        }
        for label, value in facts.items():
            self._plain(f"{label:<13} {value}")
        self._plain("\nTry:")
        for line in demo.curl_lines(found):
            self._plain(line)
        for remark in demo.remarks(found, states):
            self._plain(f"\n{remark}")
        self._plain("\nCtrl-C stops everything.")

    def _plain(self, text: str) -> None:
        """Print without wrapping or highlighting: lines are there to be copied."""
        self._console.print(text, soft_wrap=True, highlight=False, markup=False)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        with self._console.status(f"{name} …"):
            yield
        took = time.monotonic() - begun
        self._console.print(f"[green]ok[/green] {name} [dim]{took:.1f} s[/dim]")


def _refuse_taken_port(options: Options) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((options.host, options.port))
        except OSError as error:
            raise LaunchError(
                f"Port {options.port} on {options.host} cannot be used ({error.strerror}). "
                f"Choose another one: PORT={options.port + 1} make run"
            ) from error


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run until stopped and give the exit status."""
    # SIGINT too: a shell starts background jobs with it ignored. SIGHUP not, if nohup asked for it.
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _interrupt)
    console = Console()
    try:
        options = Options.read()
        make_home(options.home)
        options.logs.mkdir(mode=0o700, exist_ok=True)
        return Launcher(options, console).run()
    except (LaunchError, PostgresError, OSError) as error:
        trouble = Console(stderr=True, style="red")
        trouble.print(str(error), soft_wrap=True, highlight=False, markup=False)
        return 1
