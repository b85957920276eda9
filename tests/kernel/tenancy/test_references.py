"""References between rows of tenants carry the tenant, so that none can leave it."""

import psycopg
import pytest
from django.db import IntegrityError

from kernel import db
from kernel.ids import new_id
from kernel.tenancy import catalogue
from kernel.tenancy.operations import CompositeForeignKey


@pytest.fixture
def owner(database):
    with db.use_alias("owner"), db.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE reference_house (tenant_id uuid, id uuid, UNIQUE (tenant_id, id));"
            "CREATE TABLE reference_room (tenant_id uuid, id uuid, house_id uuid)"
        )
        yield cursor
        cursor.execute("DROP TABLE reference_room, reference_house")


def test_composite_key__own_row__accepted_and_another_tenants__refused(owner):
    owner.execute(CompositeForeignKey("reference_room", "house_id", "reference_house").sql)
    first, second, house = new_id(), new_id(), new_id()
    owner.execute("INSERT INTO reference_house VALUES (%s, %s)", [first, house])
    owner.execute("INSERT INTO reference_room VALUES (%s, %s, %s)", [first, new_id(), house])
    with pytest.raises(IntegrityError) as raised:
        owner.execute("INSERT INTO reference_room VALUES (%s, %s, %s)", [second, new_id(), house])
    assert isinstance(raised.value.__cause__, psycopg.errors.ForeignKeyViolation)
    assert catalogue.reference_faults(owner) == []


def test_check__reference_without_the_tenant__is_named(owner):
    owner.execute("CREATE UNIQUE INDEX ON reference_house (id)")
    owner.execute(
        "ALTER TABLE reference_room ADD CONSTRAINT stray FOREIGN KEY (house_id)"
        " REFERENCES reference_house (id)"
    )
    assert catalogue.reference_faults(owner) == ["reference_room: stray lacks tenant_id"]


def test_all_references__as_migrated__carry_the_tenant(owner):
    assert catalogue.reference_faults(owner) == []
