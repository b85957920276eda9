"""What staff may do to work that went wrong. Runs across tenants (alias staff)."""

from uuid import UUID

from django.utils import timezone
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob
from procrastinate.jobs import Status

from audit.services import audited, record
from config.actions import EVENT_REVIVED, JOB_CANCELLED, JOB_RETRIED
from kernel.errors import Conflict, NotFound
from kernel.events import outbox
from kernel.models import OutboxEvent


def retry_job(job_id: int, *, reason: str = "") -> None:
    """Let a failed job run again, now.

    Raises:
        kernel.errors.NotFound: no such job.
        kernel.errors.Conflict: it has not failed.
    """
    with audited():
        job = _locked(job_id, Status.FAILED)
        app.job_manager.retry_job_by_id(
            job.id, timezone.now(), job.priority, job.queue_name, job.lock
        )
        _tell(JOB_RETRIED.name, job, reason)


def cancel_job(job_id: int, *, reason: str = "") -> None:
    """Take a job that waits off the queue. One that runs is left alone.

    Raises:
        kernel.errors.NotFound: no such job.
        kernel.errors.Conflict: it does not wait.
    """
    with audited():
        job = _locked(job_id, Status.TODO)
        app.job_manager.cancel_job_by_id(job.id, abort=False)
        _tell(JOB_CANCELLED.name, job, reason)


def revive_event(event_id: UUID, *, reason: str = "") -> None:
    """Tell a dead event again, to the subscribers that have not handled it.

    Raises:
        kernel.errors.Conflict: there is no such event, or it is not dead.
    """
    with audited():
        if not outbox.revive(event_id):
            raise Conflict("Only a dead event can be revived.", code="event_not_dead")
        event = OutboxEvent.objects.get(id=event_id)
        record(
            action=EVENT_REVIVED.name,
            target_type="outbox_event",
            target_id=str(event.id),
            metadata={"name": event.name},
            reason=reason,
        )


def _locked(job_id: int, wanted: Status) -> ProcrastinateJob:
    job: ProcrastinateJob | None = (
        ProcrastinateJob.objects.select_for_update().filter(id=job_id).first()
    )
    if job is None:
        raise NotFound("There is no such job.", code="job_not_found")
    if job.status != wanted.value:
        raise Conflict(f"The job is {job.status}, not {wanted.value}.", code="job_state")
    return job


def _tell(action: str, job: ProcrastinateJob, reason: str) -> None:
    record(
        action=action,
        target_type="job",
        target_id=str(job.id),
        metadata={"job": job.args.get("job", job.task_name), "attempts": job.attempts},
        reason=reason,
    )
