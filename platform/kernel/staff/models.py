"""How a model is shown to staff."""

from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest

from kernel import ids

COUNTED = 10_000

if TYPE_CHECKING:
    _Paginator = Paginator[Any]
    _ModelAdmin = admin.ModelAdmin[Any]
else:  # generic for the type checker only
    _Paginator, _ModelAdmin = Paginator, admin.ModelAdmin


class BoundedPaginator(_Paginator):
    """A paginator that stops counting at ten thousand rows: a page's cost does not grow with them.

    What lies behind is found by search and filters.
    """

    @cached_property
    def count(self) -> int:
        """Count the rows, at most :data:`COUNTED`."""
        rows = self.object_list
        if isinstance(rows, models.QuerySet):
            return rows.order_by()[:COUNTED].count()
        return len(rows)


class StaffModelAdmin(_ModelAdmin):
    """A model that staff look at. ``id_prefix`` lets them search by the id that the API shows.

    A tenant's id (``ten_…``) finds what that tenant owns.
    """

    id_prefix: ClassVar[str] = ""
    list_per_page = 25
    list_max_show_all = 100
    show_full_result_count = False
    paginator = BoundedPaginator
    actions_on_top = True

    @admin.display(description="id", ordering="pk")
    def api_id(self, obj: models.Model) -> str:
        """Show the id as the API does."""
        return ids.encode(self.id_prefix, obj.pk)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nothing is added through a form."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is edited through a form."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is deleted through a form."""
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Tell whether the person may run the model's actions: who holds its change permission."""
        name = f"{self.opts.app_label}.change_{self.opts.model_name}"
        return bool(request.user.has_perm(name))

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        """Search by a public id where the term is one, else by ``search_fields``."""
        term = search_term.strip()
        for prefix, column in self._id_columns():
            try:
                return queryset.filter(**{column: ids.decode(prefix, term)}), False
            except ids.InvalidIdError:
                continue
        return super().get_search_results(request, queryset, search_term)

    def _id_columns(self) -> list[tuple[str, str]]:
        columns = [(self.id_prefix, "pk")] if self.id_prefix else []
        if any(field.name == "tenant_id" for field in self.opts.get_fields()):
            columns.append((ids.TENANT, "tenant_id"))
        return columns
