"""Routes of the tenants app, below ``/api/v1/``."""

from django.urls import URLPattern, URLResolver, path

from tenants.api.operator import Closure, OneTenant, Restoration, Suspension, Tenants
from tenants.api.own import OwnTenant

urlpatterns: list[URLPattern | URLResolver] = [
    path("tenant", OwnTenant.as_view(), name="tenant"),
    path("admin/tenants", Tenants.as_view(), name="admin-tenants"),
    path("admin/tenants/<str:tenant>", OneTenant.as_view(), name="admin-tenant"),
    path("admin/tenants/<str:tenant>/suspend", Suspension.as_view(), name="admin-tenant-suspend"),
    path("admin/tenants/<str:tenant>/restore", Restoration.as_view(), name="admin-tenant-restore"),
    path("admin/tenants/<str:tenant>/close", Closure.as_view(), name="admin-tenant-close"),
]
