"""Search of one tenant: what the index answers is what the entries' own words answer."""

from uuid import UUID, uuid4

import pytest

from audit.sealing.sealer import Sealer
from audit.services import audited
from kernel import db
from kernel.tenancy import tenant_context
from tests.audit.logs import change, changes, rows, say
from tests.audit.superuser import superuser

DEEP = 300
"""Entries of a log whose oldest are beyond the newest ones that a search looks at first."""
QUERIES = [
    "renamed",
    "quetzal",
    "quetzal renamed",
    "quetzal nowhere",
    "nowhere or quetzal",
    "renamed -quetzal",
    "-renamed",
    "-nowhere",
    "quetzal or -renamed",
    '"old quetzal"',
    '"quetzal old"',
    '"quetzal flies" renamed',
    '-"quetzal flies"',
    '"flies quetzal" or nowhere',
    "o'brien",
    "back\\slash",
    "kim@example.org",
    "שלום",
    "سلام renamed",
    '"two words here"',
    "ÜBER",
    "wo-man",
    "https://example.org/a/b?c=d",
    "'",
    '"',
    "!!!",
    "((",
]
ODD = {
    "name": "quetzal flies",
    "email": "kim@example.org",
    "note": "O'Brien back\\slash שלום سلام two words here über wo-man https://example.org/a/b?c=d",
}


def find(
    asked: str, since: UUID | None = None, before: UUID | None = None, most: int | None = None
) -> list[UUID]:
    """What the search of the tenant finds."""
    statement = "SELECT audit_find($1::text, $2::uuid, $3::uuid, $4::int)"
    return [row[0] for row in db.rows(statement, [asked, since, before, most])]


def plainly(tenant: UUID, asked: str) -> list[UUID]:
    """What a look at each of the tenant's entries finds; without any word, all of them."""
    found = rows(
        "SELECT event_id FROM audit_search, websearch_to_tsquery('simple', %s) AS q "
        "WHERE tenant_id = %s AND (numnode(q) = 0 OR words @@ q) ORDER BY event_id DESC",
        asked,
        tenant,
    )
    return [row[0] for row in found]


def searches() -> int:
    """How often the index of words by tenant was asked by this connection, uncommitted."""
    statement = "SELECT coalesce(pg_stat_get_xact_numscans('audit_search_scoped'::regclass), 0)"
    return int(db.rows(statement)[0][0])


@pytest.fixture
def deep(tenant_id: UUID, sealer: Sealer) -> list[UUID]:
    """A log with one odd entry, the oldest, and another in its midst; newest first."""
    made = [change(after=ODD), *changes(tenant_id, DEEP), change(after=ODD), *changes(tenant_id, 9)]
    sealer.drain()
    return sorted((one.event_id for one in made), reverse=True)


def test_search__any_question__finds_what_the_entries_say(
    tenant_id: UUID, deep: list[UUID]
) -> None:
    for asked in QUERIES:
        expected = plainly(tenant_id, asked)
        assert find(asked) == expected, asked
        for most in (1, 2, 51, 1000):
            assert find(asked, most=most) == expected[:most], (asked, most)
    assert len(find("quetzal")) == 2
    assert find('"quetzal old"') == []
    assert len(find('"two words here"')) == 2


def test_search__bounds__give_the_page_between_them(tenant_id: UUID, deep: list[UUID]) -> None:
    for asked in ("renamed", "quetzal", "-nowhere", "-quetzal"):
        found = find(asked)
        middle = deep[150]
        assert find(asked, before=middle) == [one for one in found if one < middle]
        assert find(asked, since=middle) == [one for one in found if one >= middle]
        page = find(asked, deep[-1], deep[5], 40)
        assert page == [one for one in found if deep[-1] <= one < deep[5]][:40]


def test_search__most_entries_match__leaves_the_index_alone(deep: list[UUID]) -> None:
    with db.atomic(), db.cursor() as cursor:
        cursor.execute("DISCARD PLANS; SET LOCAL enable_seqscan = off")  # the table is small
        before = searches()
        assert len(find("renamed", most=51)) == 51
        assert searches() == before
        assert len(find("quetzal", most=51)) == 2
        assert searches() == before + 1


def test_search__same_end_of_two_tenants_ids__shares_no_entry(sealer: Sealer) -> None:
    """The index cannot tell them apart then: the rows must."""
    one = uuid4()
    other = UUID(int=one.int ^ 1 << 64)
    assert str(one)[-8:] == str(other)[-8:]
    receipts = {}
    for tenant in (one, other):
        with tenant_context(tenant), audited():
            receipts[tenant] = say("quetzal").event_id
    sealer.drain()
    for tenant in (one, other):
        with tenant_context(tenant):
            assert find("quetzal") == [receipts[tenant]]
            assert find("quetzal", most=51) == [receipts[tenant]]


def test_search__statement_of_the_release_before__still_finds(deep: list[UUID]) -> None:
    found = db.rows("SELECT audit_find($1::text)", ["quetzal"])
    assert [row[0] for row in found] == find("quetzal")


@pytest.mark.parametrize(
    ("asked", "narrowed"),
    [
        ("one two", "'11110000one' & '11110000two'"),
        ("one -two", "'11110000one'"),
        ('"one two" three', "'11110000one' & '11110000two' & '11110000three'"),
        ("o'brien", "'11110000o' & '11110000brien'"),
        ("-one", None),
        ("one or -two", None),
        ("", None),
    ],
)
def test_narrowed__question__is_what_an_index_can_answer(asked: str, narrowed: str | None) -> None:
    with superuser() as link:
        found = link.execute(
            "SELECT audit_narrowed('00000000-0000-0000-0000-000011110000', "
            "websearch_to_tsquery('simple', %s))::text",
            [asked],
        ).fetchone()
    assert found == (narrowed,)


def test_scoped__words_of_every_kind__each_begin_with_the_tenant() -> None:
    with superuser() as link:
        found = link.execute(
            "SELECT tsvector_to_array(audit_scoped('00000000-0000-0000-0000-000011110000', "
            "to_tsvector('simple', %s)))",
            [" ".join(ODD.values())],
        ).fetchone()
        plain = link.execute(
            "SELECT tsvector_to_array(to_tsvector('simple', %s))", [" ".join(ODD.values())]
        ).fetchone()
    assert found is not None
    assert plain is not None
    assert sorted(found[0]) == sorted("11110000" + word for word in plain[0])
