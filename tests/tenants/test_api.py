from kernel.ids import encode, new_id
from tests.guests import call, fresh, new_guest, new_tenant, operator_key


def new_body(**fields):
    return {"name": "Acme", "slug": fresh(), "plan": "basic", **fields}


def test_create__by_the_operator__gives_the_tenant_and_its_owner():
    operator, body = operator_key(), new_body(owner_email=" Ada@Example.com ")

    made = call("POST", "admin/tenants", operator, body)

    assert made.status == 201
    assert made.body["id"].startswith("ten_")
    assert (made.body["slug"], made.body["plan"]) == (body["slug"], "basic")
    members = call("GET", "members", operator, innkeeper_tenant=made.body["id"]).body["items"]
    assert [(one["email"], one["role"]) for one in members] == [("ada@example.com", "owner")]


def test_create__unknown_member__is_refused_with_its_pointer():
    refused = call("POST", "admin/tenants", operator_key(), new_body(status="closed"))

    assert refused.status == 400
    assert [(one["pointer"], one["code"]) for one in refused.body["errors"]] == [
        ("/status", "unknown_member")
    ]


def test_create__bad_owner_email__leaves_no_tenant():
    operator, body = operator_key(), new_body(owner_email="nobody")

    refused = call("POST", "admin/tenants", operator, body)

    assert (refused.status, refused.body["errors"][0]["pointer"]) == (400, "/owner_email")
    found = call("GET", f"admin/tenants?slug={body['slug']}", operator)
    assert found.body == {"items": [], "next": None}


def test_create__unknown_plan__points_at_it():
    refused = call("POST", "admin/tenants", operator_key(), new_body(plan="gold"))

    assert (refused.status, refused.body["errors"][0]["pointer"]) == (400, "/plan")


def test_create__taken_slug__is_409():
    tenant = new_tenant()

    refused = call("POST", "admin/tenants", operator_key(), new_body(slug=tenant.slug))

    assert (refused.status, refused.code) == (409, "slug_taken")


def test_list__page_by_page__gives_each_tenant_once():
    operator = operator_key()
    made = [new_tenant().public_id for _ in range(3)]

    first = call("GET", "admin/tenants?limit=2", operator).body
    second = call("GET", f"admin/tenants?limit=2&cursor={first['next']}", operator).body

    seen = [item["id"] for item in first["items"] + second["items"]]
    assert seen[:3] == list(reversed(made))
    assert len(set(seen)) == len(seen)


def test_list__unknown_status__is_400():
    assert call("GET", "admin/tenants?status=asleep", operator_key()).status == 400


def test_read__malformed_and_unknown_ids__are_the_same_404():
    operator = operator_key()

    unknown = call("GET", f"admin/tenants/{encode('ten', new_id())}", operator)
    malformed = call("GET", "admin/tenants/acme", operator)

    assert (unknown.status, malformed.status) == (404, 404)
    ignored = {"instance", "request_id"}
    assert {k: v for k, v in unknown.body.items() if k not in ignored} == {
        k: v for k, v in malformed.body.items() if k not in ignored
    }


def test_suspend__then_restore__holds_at_the_next_request():
    operator, guest = operator_key(), new_guest()
    path = f"admin/tenants/{guest.public_id}"
    assert call("GET", "tenant", guest.key).status == 200

    suspended = call("POST", f"{path}/suspend", operator, {"reason": "unpaid"})
    refused = call("GET", "tenant", guest.key)
    restored = call("POST", f"{path}/restore", operator)
    admitted = call("GET", "tenant", guest.key)

    assert (suspended.status, suspended.body["status"]) == (200, "suspended")
    assert (refused.status, refused.code) == (403, "tenant_suspended")
    assert (restored.status, restored.body["status"]) == (200, "active")
    assert admitted.status == 200


def test_close__then__the_tenant_is_gone_to_its_keys_and_not_to_the_operator():
    operator, guest = operator_key(), new_guest()

    closed = call("POST", f"admin/tenants/{guest.public_id}/close", operator)

    assert closed.body["status"] == "closed"
    assert call("GET", "tenant", guest.key).status == 404
    assert call("GET", f"admin/tenants/{guest.public_id}", operator).body["status"] == "closed"


def test_operator_routes__with_a_tenant_key__are_403():
    guest = new_guest()

    refused = call("GET", "admin/tenants", guest.key)

    assert (refused.status, refused.code) == (403, "operator_only")


def test_tenant__named_by_a_platform_key__is_that_one():
    guest = new_guest()

    found = call("GET", "tenant", operator_key(), innkeeper_tenant=guest.public_id)

    assert (found.status, found.body["slug"]) == (200, guest.slug)
