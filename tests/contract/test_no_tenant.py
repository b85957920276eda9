"""The app role without a tenant: what psql shows to whoever holds its password."""

from kernel import db
from tests.contract.layers import protected_tables
from tests.guests import new_guest

NOBODYS = {"billing_meter": "scope <> '00000000-0000-0000-0000-000000000000'"}
"""Tables that also hold the operator's own rows, which every tenant may see; what is left out."""


def test_app_role__without_a_tenant__sees_no_row_of_any_protected_table():
    new_guest()

    visible = {}
    tables = protected_tables()
    with db.cursor() as cursor:
        for table in tables:
            cursor.execute("SELECT has_table_privilege(%s, 'SELECT')", [table])
            if cursor.fetchone()[0]:
                where = NOBODYS.get(table, "true")
                cursor.execute(f"SELECT count(*) FROM {table} WHERE {where}")
                visible[table] = cursor.fetchone()[0]

    assert len(visible) >= 10
    assert visible == dict.fromkeys(visible, 0)
