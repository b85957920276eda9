"""Streams of checkpoints make their receivers witnesses of the log."""

import base64
from uuid import uuid4

import pytest
from standardwebhooks import Webhook
from tlog_scales.tlog import ConsistencyProof

from audit.models import PLATFORM_TENANT
from audit.sealing import headslog
from audit.sealing.sealer import Sealer
from audit.streams import services
from tests.audit.logs import rows
from tests.audit.streaming import (
    deliver,
    lines,
    sealed,
    stream,
)
from tests.guests import system
from tests.receivers import http_receiver, tls

pytestmark = pytest.mark.usefixtures("loopback")


def test_checkpoints__to_the_tenant__prove_growth_and_are_kept_as_anchors(sealer: Sealer) -> None:
    tenant = uuid4()
    with http_receiver(context=tls()) as receiver:
        made = stream(tenant, receiver.url, content="checkpoints", scope="platform")
        for _ in range(2):
            sealed(sealer, tenant, 300)
            rows(
                "UPDATE audit_stream_state SET next_at = now() WHERE stream_id = %s RETURNING 1",
                made.stream.id,
            )
            deliver(made)
    old, new = lines([one.body for one in receiver.requests])
    Webhook(made.secret).verify(receiver.requests[0].body, receiver.requests[0].headers)
    assert (old["type"], old["old"], old["size"]) == ("audit.checkpoint", 0, 301)
    assert (new["old"], new["size"]) == (301, 601)
    path = [base64.b64decode(one) for one in new["consistency"]]
    roots = [base64.b64decode(one["root"]) for one in (old, new)]
    ConsistencyProof(301, 601, path).check(*roots)
    anchored = rows(
        "SELECT size, proof FROM audit_anchor WHERE tenant_id = %s AND kind = 'receiver' "
        "ORDER BY size",
        tenant,
    )
    assert anchored == [(301, old["note"]), (601, new["note"])]


def test_checkpoints__to_the_operator__bring_the_log_of_heads(sealer: Sealer) -> None:
    sealed(sealer, uuid4(), 1)
    headslog.publish()
    with http_receiver() as receiver:
        made = stream(
            PLATFORM_TENANT, receiver.url, content="checkpoints", scope="platform",
            from_beginning=True,
        )  # fmt: skip
        deliver(made)
    told = lines([one.body for one in receiver.requests])
    assert "heads" in {one["stream"] for one in told}
    with system():
        services.delete(made.stream.id)
