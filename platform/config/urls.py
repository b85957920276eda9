"""Every route of the system."""

from django.contrib import admin
from django.urls import include, path

from billing.api import urls as billing
from config import operations

handler400 = "kernel.http.problem.bad_request"
handler403 = "kernel.http.problem.permission_denied"
handler404 = "kernel.http.problem.page_not_found"
handler500 = "kernel.http.problem.server_error"

urlpatterns = [
    path("api/v1/", include("accounts.api.urls")),
    path("api/v1/", include("billing.api.urls")),
    path("api/v2/", include(billing.v2)),
    path("api/v1/", include("tenants.api.urls")),
    path("api/v1/", include("audit.api.urls")),
    path("", include(operations)),
    path("admin/", admin.site.urls),
]
