"""Background work: the worker's services, and jobs that may run later and may fail.

``enqueue`` writes the outbox in the caller's transaction; the relay moves it into procrastinate,
which runs cold work (backfills, exports, retention). Web processes import no worker. Hot
deliveries and sealing are services of their own, not jobs.
"""

from kernel.jobs.queue import Job, UnknownJobError, enqueue, job
from kernel.jobs.services import Service, services

__all__ = ["Job", "Service", "UnknownJobError", "enqueue", "job", "services"]
