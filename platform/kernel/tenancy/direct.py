"""Rows of a model by prepared statements, for hot services: what the ORM would compile each time.

The fence is the ORM's: the tenant of the context is part of every statement, and without one it
raises. Conditions and assignments are texts of the program, never of a caller: ``$1`` and so on
stand for the values. Why: docs/adr/0090.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db import models
from psycopg.types.json import Jsonb

from kernel import db
from kernel.tenancy import context
from kernel.tenancy.models import CrossTenantWriteError

M = TypeVar("M", bound=models.Model)


class Direct(Generic[M]):
    """The rows of one model whose ``column`` holds their tenant.

    For models whose columns PostgreSQL types as Python does, and jsonb; no custom conversion.
    """

    def __init__(self, model: type[M], column: str = "tenant_id") -> None:
        self._model = model
        self._column = column

    def read(self, where: str, values: Sequence[Any], tail: str = "") -> list[M]:
        """Give the rows of the tenant that meet the condition; ``tail`` orders and locks them.

        Raises:
            kernel.tenancy.TenantRequiredError: no tenant is set.
        """
        condition, fenced = self._fenced(where, values)
        return self._read(condition, fenced, tail)

    def read_of(self, owner: UUID, where: str, values: Sequence[Any]) -> list[M]:
        """Give rows of one owner that every tenant may see, such as the operator's.

        Row-level security decides what is seen; no tenant need be set.
        """
        fence = f"{self._column} = ${len(values) + 1}::uuid"
        return self._read(f"{fence} AND ({where})", [*values, owner])

    def _read(self, condition: str, values: Sequence[Any], tail: str = "") -> list[M]:
        text = " ".join(("SELECT", self._columns, "FROM", self._table, "WHERE", condition, tail))
        return [self._made(row) for row in db.rows(text, values)]

    def update(
        self, assignments: str, where: str, values: Sequence[Any], also: str = "true"
    ) -> list[M]:
        """Change the rows of the tenant that meet the condition, and give them as they are now.

        ``also`` is an expression that is evaluated with each changed row.

        Raises:
            kernel.tenancy.TenantRequiredError: no tenant is set.
        """
        condition, fenced = self._fenced(where, values)
        change = ("UPDATE", self._table, "SET", assignments, "WHERE", condition)
        text = " ".join((*change, "RETURNING", self._columns, ",", also))
        return [self._made(row[:-1]) for row in db.rows(text, fenced)]

    def insert(self, row: M, also: str = "true") -> None:
        """Write a new row of the tenant; ``also`` is an expression that is evaluated with it.

        Raises:
            kernel.tenancy.TenantRequiredError: no tenant is set.
            kernel.tenancy.models.CrossTenantWriteError: the row is another tenant's.
            django.db.IntegrityError: a constraint of the table refuses it.
        """
        if not isinstance(context.scope(), context.AllTenants):
            tenant = context.current_tenant()
            if getattr(row, self._column) != tenant:
                raise CrossTenantWriteError(f"{type(row).__name__} of a tenant under {tenant}")
        values = [field.pre_save(row, True) for field in self._model._meta.concrete_fields]
        for place in self._json:
            values[place] = None if values[place] is None else Jsonb(values[place])
        places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
        into = ("INSERT INTO", self._table, "(", self._columns, ") VALUES (", places, ")")
        db.rows(" ".join((*into, "RETURNING", also)), values)
        row._state.adding, row._state.db = False, db.alias()

    def _fenced(self, where: str, values: Sequence[Any]) -> tuple[str, list[Any]]:
        if isinstance(context.scope(), context.AllTenants):
            return f"({where})", list(values)
        fence = f"{self._column} = ${len(values) + 1}::uuid"
        return f"{fence} AND ({where})", [*values, context.current_tenant()]

    def _made(self, row: Sequence[Any]) -> M:
        values = list(row)
        for place in self._json:
            # Django keeps jsonb as text on its connections.
            values[place] = None if values[place] is None else json.loads(values[place])
        return self._model.from_db(db.alias(), self._names, values)

    @cached_property
    def _json(self) -> list[int]:
        """Number the columns that hold JSON."""
        fields = self._model._meta.concrete_fields
        return [n for n, field in enumerate(fields) if isinstance(field, models.JSONField)]

    @cached_property
    def _names(self) -> list[str]:
        return [field.attname for field in self._model._meta.concrete_fields]

    @cached_property
    def _columns(self) -> str:
        return ", ".join(f'"{field.column}"' for field in self._model._meta.concrete_fields)

    @property
    def _table(self) -> str:
        return f'"{self._model._meta.db_table}"'
