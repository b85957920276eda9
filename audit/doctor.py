"""What the doctor looks at in the log: streams that do not deliver, anchors that do not hold."""

from typing import Final

from audit.streams import queries
from kernel.doctor.findings import Check, Finding, failed, ok, warning
from kernel.tenancy import across_tenants

LAGGING_S: Final = 3600.0
FAILING_ANCHOR: Final = 5
"""Failures in a row from which an anchor is told as broken."""


def streams() -> list[Finding]:
    """Sum up the streams: what fails, what was paused, what lags."""
    with across_tenants():
        state = queries.overview()
    counts = state.by_state
    text = ", ".join(f"{number} {name}" for name, number in counts.items())
    if counts["failing"] or state.longest_wait_s > LAGGING_S:
        text += f"; the oldest entry waits for {state.longest_wait_s:.0f} s"
        remedy = "See last_error of the stream (admin: streams), and audit-streams' log."
        return [warning("audit-streams", text, remedy)]
    return [ok("audit-streams", text)]


def anchors() -> list[Finding]:
    """Tell of each configured anchor when it last took the log's state."""
    found = []
    for anchor in queries.anchors():
        held = f"{anchor.name}: {anchor.size} entries of the heads log"
        if anchor.failures >= FAILING_ANCHOR:
            text = f"{held}, {anchor.failures} failures in a row ({anchor.last_error})"
            remedy = "Sealing goes on. Mend the anchor, or its INNKEEPER_AUDIT_… setting."
            found.append(failed("audit-anchors", text, remedy))
        elif anchor.anchored_at is None:
            found.append(warning("audit-anchors", f"{anchor.name}: never", "Is a worker running?"))
        else:
            found.append(ok("audit-anchors", f"{held} at {anchor.anchored_at:%Y-%m-%d %H:%M}"))
    return found or [ok("audit-anchors", "files under INNKEEPER_HOME only")]


CHECKS: Final = (Check("audit-streams", streams), Check("audit-anchors", anchors))
