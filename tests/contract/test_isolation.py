"""No route lets one tenant see, change or even notice another's data; each fence alone suffices.

Generated over the URL map like the authorisation matrix: a route with a new parameter fails until
this module knows how to aim it at the victim.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from accounts.models import ApiKey
from kernel import db, ids
from kernel.authz import Scope
from kernel.tenancy import tenant_context
from tests.contract.layers import LAYERS
from tests.contract.url_map import UNKNOWN, cases, filled, parameters
from tests.contract.victim import Victim, make_victim
from tests.guests import Answer, Guest, call, new_guest, operator_key

NOBODYS = {"feature", "tile"}
"""Parameters that name nothing of a tenant's own."""
SCOPES = (Scope.TENANT, Scope.ANY_TENANT)
CASES = [(template, method) for template, method, access in cases() if access.scope in SCOPES]
AIMED = [case for case in CASES if set(parameters(case[0])) - NOBODYS]
LISTS = [template for template, method in CASES if method == "GET" and not parameters(template)]
_QUOTA = "api/v1/customers/<str:customer>/entitlements/<str:feature>"
BODIES = {
    "PATCH api/v1/members/<str:member>": {"name": "Intruder"},
    f"POST {_QUOTA}/commit": {"reservation": str(ids.new_id()), "quantity": 1},
    f"POST {_QUOTA}/release": {"reservation": str(ids.new_id())},
    f"POST {_QUOTA}/consume": {"quantity": 1},
    f"POST {_QUOTA}/reserve": {"quantity": 1},
    "PUT api/v1/meters/<str:id_or_slug>": {"description": "intruded"},
}
_VOLATILE = re.compile(rb"req_[0-9a-f]{24}")


@dataclass(frozen=True)
class Parties:
    """Who plays: the victim, another tenant that wants its data, the operator's key."""

    victim: Victim
    intruder: Guest
    operator: str


@pytest.fixture(scope="module")
def parties() -> Parties:
    return Parties(make_victim(), new_guest("enterprise"), operator_key())


@pytest.fixture(scope="module", params=LAYERS)
def layers(request, parties) -> Iterator[str]:
    with LAYERS[request.param]():
        yield request.param


def ask(template: str, method: str, values: dict[str, str], key: str, **headers: str) -> Answer:
    body = None if method in ("GET", "DELETE") else BODIES.get(f"{method} {template}", {})
    return call(method, filled(template, values), key, body, **headers)


def aims(template: str, victim: Victim) -> Iterator[dict[str, str]]:
    """Every way to aim the parameters of a template at the victim."""
    own = [name for name in parameters(template) if name not in NOBODYS]
    for name in own:
        if name not in victim.names:
            pytest.fail(f"teach this module how a victim's {name!r} of {template} is named")
    longest = max((len(victim.names[name]) for name in own), default=1)
    for index in range(longest):
        aimed = {name: victim.names[name][index % len(victim.names[name])] for name in own}
        yield {**aimed, "key": "subject"} if "group-by" in template else aimed


def masked(answer: Answer) -> bytes:
    return _VOLATILE.sub(b"req", answer.content)


def checksums(guest: Guest) -> dict[str, str]:
    """Fingerprint the rows of one tenant in every table that has a tenant."""
    found = {}
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(
            "SELECT table_schema || '.' || table_name, column_name FROM information_schema.columns"
            " WHERE column_name IN ('tenant_id', 'scope') AND data_type = 'uuid'"
            " AND table_schema IN ('public', 'gate')"
        )
        for table, column in cursor.fetchall():
            cursor.execute(
                f"SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), ''))"
                f" FROM {table} t WHERE {column} = %s",
                [guest.id],
            )
            found[table] = cursor.fetchone()[0]
    return found


def test_layer__that_is_off__is_really_off(layers, parties):
    with tenant_context(parties.intruder.id):
        query = str(ApiKey.objects.all().query)
        with db.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM accounts_api_key WHERE tenant_id = %s",
                [parties.victim.guest.id],
            )
            seen = cursor.fetchone()[0]

    assert ("tenant_id" in query.partition("WHERE")[2]) == (layers != "without the ORM fence")
    assert (seen > 0) == (layers == "without row-level security")


@pytest.mark.parametrize(("template", "method"), AIMED, ids=str)
def test_foreign_id__whatever_the_route__is_the_answer_of_an_unknown_one(
    layers, parties, template, method
):
    for values in aims(template, parties.victim):
        unknown = ask(template, method, {}, parties.intruder.key)
        foreign = ask(template, method, values, parties.intruder.key)

        assert foreign.status == 404, foreign.content
        assert masked(foreign) == masked(unknown)


@pytest.mark.parametrize(("template", "method"), AIMED, ids=str)
def test_foreign_id__through_a_platform_key_that_names_the_intruder__is_404(
    layers, parties, template, method
):
    named = {"innkeeper_tenant": parties.intruder.public_id}
    for values in aims(template, parties.victim):
        assert ask(template, method, values, parties.operator, **named).status == 404


@pytest.mark.parametrize("template", LISTS)
def test_list__of_the_intruder__holds_no_trace_of_the_victim(layers, parties, template):
    answer = call("GET", f"/{template}", parties.intruder.key)

    assert answer.status < 500
    assert [trace for trace in parties.victim.traces if trace in answer.content] == []


@pytest.mark.parametrize("template", LISTS)
def test_list__asked_for_the_victim_by_name__holds_nothing_of_it(layers, parties, template):
    victim = parties.victim
    names = ("subject", "key", "name", "q", "slug", "target_id", "customer", "filterCustomerId")
    query = "&".join(f"{name}={victim.marker}" for name in names)

    answer = call(
        "GET", f"/{template}?{query}&tenant={victim.guest.public_id}", parties.intruder.key
    )

    asked_for = {victim.marker.encode(), victim.guest.public_id.encode()}
    assert answer.status < 500
    assert [t for t in victim.traces if t not in asked_for and t in answer.content] == []


def test_writes__of_the_intruder__leave_every_row_of_the_victim(layers, parties):
    before = checksums(parties.victim.guest)
    named = {"innkeeper_tenant": parties.intruder.public_id}

    for template, method in CASES:
        if method == "GET":
            continue
        for values in aims(template, parties.victim):
            ask(template, method, values, parties.intruder.key)
            ask(template, method, values, parties.operator, **named)

    assert checksums(parties.victim.guest) == before


def test_unknown__names_of_parameters__are_all_used():
    used = {name for template, _ in CASES for name in parameters(template)}
    operators = {name for template, _, _ in cases() for name in parameters(template)}

    assert sorted(set(UNKNOWN) - used - operators) == []
