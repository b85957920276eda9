"""A leaf's bytes, as they have been since the first entry: whatever makes them must make these."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from audit.encoding import commitment
from audit.models import Outcome, Stream
from audit.registry import Action, Severity
from audit.services import Context, Target, entry
from audit.services.entry import Draft, build

SALT = b"\x07" * 16
LEAF = (
    '{"action":"sample.renamed","actor":{"id":"usr_1","on_behalf_of":"usr_2","type":"staff"},'
    '"at":"2026-05-06T07:08:09.000010Z","changes":{"after":{"big":"1152921504606846976",'
    '"email":"c:i9NJIKs56c6119CBRbsFt4G4Nbg_sXYjPWo8K3Nlo20","money":"1.50",'
    '"odd":[{"key":"é","value":1}],"pin":"***"},'
    '"before":{"email":"c:Na6dAarG-OCHYwu03RKZLUcsQUnAF1MjF6a2gJEDXV0","gone":null,"pin":"***"}},'
    '"context":{"ip":"c:A-9hHYGxauTi4j4BCf4Q68w92gZaaaVxuCym8tQmk6c",'
    '"metadata":{"a":[1],"z":[true,"\u2028\\u0000\\n\\""]},'
    '"reason":"c:VTkK1RSZHrjwgUJ8myWR-kXCXEh-vOmXT-5x6zY75Us","request_id":"req_12345678",'
    '"user_agent":"c:C085HhkRW_jv0jajxwFbQz2b4Y3lwpdytgtcqj9bANE"},'
    '"id":"00000000-0000-0000-0000-000000000009","log":"example.org/log","outcome":"denied",'
    '"schema":3,"stream":1,"targets":[{"id":"smp_1","type":"sample"},{"id":"ö","type":"other"}],'
    '"tenant":"00000000-0000-0000-0000-000000000003","v":1}'
)


def test_build__known_facts_and_salts__are_the_known_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commitment.secrets, "token_bytes", lambda _: SALT)
    monkeypatch.setattr(entry, "new_id", lambda: UUID(int=9))
    draft = Draft(
        action=Action("sample.renamed", Severity.INFO, "", ["email"], ["pin"], schema=3),
        tenant_id=UUID(int=3),
        stream=Stream.TENANT,
        targets=[Target("sample", "smp_1"), Target("other", "ö")],
        before={"email": "a@example.org", "pin": "1", "same": 1, "gone": None},
        after={
            "email": "b@example.org",
            "pin": "2",
            "same": 1,
            "money": Decimal("1.50"),
            "big": 2**60,
            "odd": {"é": 1},
        },
        metadata={"z": [True, '\u2028\x00\n"'], "a": (1,)},
        reason="why",
        subject_id="usr_9",
        outcome=Outcome.DENIED,
        occurred_at=datetime(2026, 5, 6, 7, 8, 9, 10, UTC),
    )
    context = Context("staff", "usr_1", "usr_2", "req_12345678", "192.0.2.7", "curl/8")

    made = build(draft, context, origin="example.org/log")

    assert made.leaf.decode() == LEAF
    assert {
        subject: {path: value for path, (_, value) in openings.items()}
        for subject, openings in made.openings.items()
    } == {
        "usr_1": {
            "context.ip": "192.0.2.7",
            "context.user_agent": "curl/8",
            "context.reason": "why",
        },
        "usr_9": {
            "changes.before.email": "a@example.org",
            "changes.after.email": "b@example.org",
        },
    }
