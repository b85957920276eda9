"""The job that sends a stream's test message."""

from uuid import UUID

from audit.streams import documents, senders
from audit.streams.models import LogStream, purpose
from audit.streams.senders import Batch, SendError
from audit.streams.services import STREAM_PREFIX
from kernel import db
from kernel.ids import encode
from kernel.jobs import job
from kernel.sealing import open_sealed

ARRIVED = "arrived"


@job("audit.test_stream", max_attempts=1)
def send_test(*, stream_id: str) -> None:
    """Send one message to the stream's receiver, and keep the outcome: ``arrived`` or a fault."""
    identifier = UUID(stream_id)
    stream = LogStream.objects.filter(id=identifier).first()
    if stream is None:
        return
    document = documents.of_test(encode(STREAM_PREFIX, identifier))
    secret = open_sealed(bytes(stream.secret), purpose(identifier)) if stream.secret else b""
    try:
        batch = Batch(f"msg_{document.id}", [document])
        senders.send(stream.kind, stream.url, secret.decode(), batch)
        outcome = ARRIVED
    except SendError as error:
        outcome = error.reason
    with db.cursor() as cursor:
        cursor.execute(
            "UPDATE audit_stream_state SET tested_at = clock_timestamp(), test_outcome = %s "
            "WHERE stream_id = %s",
            [outcome, identifier],
        )
