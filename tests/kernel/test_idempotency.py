"""Idempotency-Key over the real handler: one effect, the same answer, nobody else's."""

import json
import threading
from typing import ClassVar

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client, override_settings
from django.urls import path
from rest_framework.response import Response

from kernel import db, idempotency, ids, sealing
from kernel.authz import Access, Scope
from kernel.errors import Conflict
from kernel.http.endpoint import Endpoint
from tests.kernel.gate.credentials import make_key, make_tenant

effects: list[str] = []
gate = threading.Event()
entered = threading.Event()


class Effects(Endpoint):
    access: ClassVar = {"POST": Access("meters:read", Scope.TENANT, secret=True)}

    def post(self, request):
        what = request.data.get("what", "")
        if what == "refuse":
            raise Conflict("no")
        if what == "wait":
            entered.set()
            assert gate.wait(10)
        if what == "break":
            raise ZeroDivisionError
        effects.append(what)
        if what == "plain":
            return HttpResponse(b'{"plain":true}', status=202, content_type="application/json")
        if what == "table":
            return HttpResponse(b"a,b\n", content_type="text/csv")
        if what == "lines":
            return StreamingHttpResponse([b"{}\n"], content_type="application/x-ndjson")
        if what.isdigit():
            return Response({"n": len(effects)}, int(what))
        return Response({"n": len(effects), "secret": "hush", "id": ids.new_id()}, 201)


class Other(Effects):
    access: ClassVar = {"POST": Access("meters:read", Scope.TENANT)}


urlpatterns = [
    path("effects", Effects.as_view()),
    path("others", Other.as_view()),
    path("effects/<str:x>", Effects.as_view()),
]


@pytest.fixture(autouse=True)
def fresh(database):
    effects.clear()
    gate.clear()
    entered.clear()
    with override_settings(ROOT_URLCONF="tests.kernel.test_idempotency"):
        yield


@pytest.fixture
def tenant(database):
    return make_tenant()


@pytest.fixture
def key(tenant):
    return make_key(tenant)


def post(key, idempotency_key, what="x", url="/effects"):
    headers = {"Authorization": f"Bearer {key.text}"}
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    return Client(raise_request_exception=False).post(
        url, json.dumps({"what": what}), content_type="application/json", headers=headers
    )


def test_replay__same_key_same_body__one_effect_and_equal_bytes(key):
    first, second = post(key, "k"), post(key, "k")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert effects == ["x"]
    assert second.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers


@pytest.mark.parametrize(("what", "content"), [("table", b"a,b\n"), ("lines", b"{}\n")])
def test_replay__answer_that_is_no_json__is_made_anew(key, what, content):
    answers = [post(key, "k", what), post(key, "k", what)]

    for answer in answers:
        got = b"".join(answer) if answer.streaming else answer.content
        assert (got, answer.headers["Content-Type"].partition(";")[0]) == (
            content, "text/csv" if what == "table" else "application/x-ndjson",
        )  # fmt: skip
        assert "Idempotent-Replayed" not in answer.headers


def test_replay__other_body__422(key):
    post(key, "k")
    answer = post(key, "k", what="y")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert effects == ["x"]


def test_scope__other_route_key_and_tenant__are_other_requests(key, tenant):
    post(key, "k")
    post(key, "k", url="/others")
    post(make_key(tenant), "k")
    post(make_key(make_tenant()), "k")
    post(key, "k2")
    assert len(effects) == 5


def test_no_key__every_request_has_its_effect(key):
    post(key, None)
    post(key, None)
    assert len(effects) == 2


def test_refusal__not_recorded__decided_anew(key):
    assert post(key, "k", what="refuse").status_code == 409
    assert post(key, "k", what="x").status_code == 201


@pytest.mark.parametrize("status", [401, 403, 409, 429, 503])
def test_answer__of_a_refusal__not_recorded(key, status):
    answers = [post(key, "k", what=str(status)) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [status, status]
    assert len(effects) == 2


def test_replay__answer_without_drf__gives_its_body(key):
    first, second = post(key, "k", what="plain"), post(key, "k", what="plain")
    assert (second.status_code, second.content) == (202, first.content)
    assert effects == ["plain"]


def test_fault__leaves_no_half_done_key(key):
    assert post(key, "k", what="break").status_code == 500
    assert post(key, "k", what="x").status_code == 201


@pytest.mark.parametrize("text", ["", "x" * 256])
def test_key__malformed__400(key, text):
    answer = post(key, text)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_idempotency_key")


def test_concurrent__first_still_running__409_at_once_then_replay(key):
    answers = []
    running = threading.Thread(target=lambda: answers.append(post(key, "k", what="wait")))
    running.start()
    assert entered.wait(10)
    busy = post(key, "k", what="wait")
    gate.set()
    running.join()
    assert (busy.status_code, busy.json()["code"]) == (409, "idempotency_in_progress")
    assert busy.headers["Retry-After"] == "1"
    assert answers[0].status_code == 201
    assert post(key, "k", what="wait").content == answers[0].content
    assert effects == ["wait"]


def test_stored_answer__secret__rests_encrypted(key, tenant):
    post(key, "k")
    with db.use_alias("staff"), db.cursor() as cursor:
        cursor.execute("SELECT body FROM kernel_idempotency WHERE tenant_id = %s", [tenant])
        [(body,)] = cursor.fetchall()
    assert b"hush" not in bytes(body)
    with pytest.raises(sealing.SealError):
        sealing.open_sealed(bytes(body), "another purpose")


def test_record__older_than_a_day__is_no_replay_and_is_purged(key, tenant):
    post(key, "k")
    with db.use_alias("staff"), db.cursor() as cursor:
        cursor.execute(
            "UPDATE kernel_idempotency SET created_at = created_at - interval '25 hours'"
            " WHERE tenant_id = %s",
            [tenant],
        )
    post(key, "k", what="y")
    assert effects == ["x", "y"]
    with db.use_alias("staff"):
        idempotency.purge()
        with db.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM kernel_idempotency WHERE tenant_id = %s", [tenant])
            assert cursor.fetchone() == (1,)
