"""All systems of a run: started together, idle until it is their turn, stopped together."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench import processes, workloads
from bench.ladder import Rung, Say
from bench.options import FLOORS, LEGS, OURS, PEERS, TITLES, Options
from bench.systems import floors, innkeeper
from bench.systems.assembly import Assembly
from bench.systems.innkeeper import Guest, Innkeeper
from bench.systems.server import Server

TENANTS = 8
ITEMS = {"ingest100": 100, "ingest1000": 1_000}
SINGLES_CONNECTIONS = 16
"""What the claim about single events is made for."""
LOOK_S = 1.0
AT_REST_CPU_S = 0.2
"""CPU seconds in a look of :data:`LOOK_S`, below which what was started has ended its start."""
SETTLE_S = 30.0
"""How long to wait for that."""


@dataclass(slots=True)
class Systems:
    """What is running."""

    servers: dict[str, Server] = field(default_factory=dict)
    ours: Innkeeper | None = None
    guests: list[Guest] = field(default_factory=list)
    assembly: Assembly | None = None
    rungs: list[Rung] = field(default_factory=list)

    def roots(self) -> tuple[int, ...]:
        """The process trees of everything that was started."""
        ours = [self.ours.server] if self.ours else []
        return tuple(root for server in [*self.servers.values(), *ours] for root in server.roots)


def start(options: Options, folder: Path, stack: ExitStack, say: Say) -> Systems:
    """Start what the options name, in the order of the rungs; the stack stops it all.

    Raises:
        StartError: a system does not come up.
        RefusedError: our API refuses what the run needs.
    """
    systems = Systems()
    for name in [part for part in options.parts if part in FLOORS]:
        server = systems.servers[name] = floors.start(FLOORS[name], folder)
        stack.callback(server.close)
        systems.rungs.append(Rung(name, TITLES[name], server, workloads.constant()))
    if {*OURS, *LEGS} & {*options.parts}:
        say("starting Innkeeper")
        _start_ours(options, systems, folder, stack)
    if {*PEERS} & {*options.parts}:
        say("starting the usual assembly")
        _start_peers(options, systems, folder, stack)
    if not _at_rest(systems.roots()):
        say(f"still at work after {SETTLE_S:.0f} s, going on all the same")
    return systems


def _at_rest(roots: tuple[int, ...]) -> bool:
    """Wait until what was started does little by itself; tell whether it came to that.

    A system that is ready still compiles, opens connections and counts new meters back.
    """
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        before = processes.cpu_seconds(*roots)
        time.sleep(LOOK_S)  # the time over which CPU is counted
        if processes.cpu_seconds(*roots) - before < AT_REST_CPU_S:
            return True
    return False


def _start_ours(options: Options, systems: Systems, folder: Path, stack: ExitStack) -> None:
    ours = systems.ours = innkeeper.start(folder)
    stack.callback(ours.server.close)
    systems.guests = ours.guests(TENANTS, "enterprise", {"daily": None, "burst": None})
    requests = {
        "health": workloads.live(),
        "verify": workloads.verify(ours.platform_key, systems.guests),
        "entitlement": workloads.entitlement(systems.guests),
        "ingest": workloads.ingest(systems.guests),
        "ingest100": workloads.ingest_batch(systems.guests),
        "ingest1000": workloads.ingest_batch(systems.guests, 1_000),
    }
    for name in [part for part in OURS if part in options.parts]:
        systems.rungs.append(
            Rung(
                name,
                TITLES[name],
                ours.server,
                requests[name],
                ITEMS.get(name, 1),
                SINGLES_CONNECTIONS if name == "ingest" else None,
            )
        )


def _start_peers(options: Options, systems: Systems, folder: Path, stack: ExitStack) -> None:
    assembly = systems.assembly = Assembly(folder)
    stack.callback(assembly.close)
    requests = workloads.assembly_verify(assembly.seed(TENANTS, "enterprise"))
    for name in [part for part in PEERS if part in options.parts]:
        server = systems.servers[name] = assembly.serve(name, audit=name == "assembly")
        stack.callback(server.close)
        systems.rungs.append(Rung(name, TITLES[name], server, requests))
