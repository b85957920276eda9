"""Routes of the accounts app, below ``/api/v1/``."""

from django.urls import URLPattern, URLResolver, path

from accounts.api.keys import Keys, OneKey, Revocation, Rotation
from accounts.api.me import Me
from accounts.api.members import Members, OneMember
from accounts.api.operator_keys import (
    PlatformKeyRevocation,
    PlatformKeyRotation,
    PlatformKeys,
    TenantKeyRevocation,
    TenantKeyRotation,
    TenantKeys,
)
from accounts.api.roles import Roles
from accounts.api.verify import VerifyKey

urlpatterns: list[URLPattern | URLResolver] = [
    path("keys/verify", VerifyKey.as_view(), name="keys-verify"),
    path("keys", Keys.as_view(), name="keys"),
    path("keys/<str:key>", OneKey.as_view(), name="key"),
    path("keys/<str:key>/revoke", Revocation.as_view(), name="key-revoke"),
    path("keys/<str:key>/rotate", Rotation.as_view(), name="key-rotate"),
    path("members", Members.as_view(), name="members"),
    path("members/<str:member>", OneMember.as_view(), name="member"),
    path("roles", Roles.as_view(), name="roles"),
    path("me", Me.as_view(), name="me"),
    path("admin/tenants/<str:tenant>/keys", TenantKeys.as_view(), name="admin-tenant-keys"),
    path(
        "admin/tenants/<str:tenant>/keys/<str:key>/revoke",
        TenantKeyRevocation.as_view(),
        name="admin-tenant-key-revoke",
    ),
    path(
        "admin/tenants/<str:tenant>/keys/<str:key>/rotate",
        TenantKeyRotation.as_view(),
        name="admin-tenant-key-rotate",
    ),
    path("admin/platform-keys", PlatformKeys.as_view(), name="admin-platform-keys"),
    path(
        "admin/platform-keys/<str:key>/revoke",
        PlatformKeyRevocation.as_view(),
        name="admin-platform-key-revoke",
    ),
    path(
        "admin/platform-keys/<str:key>/rotate",
        PlatformKeyRotation.as_view(),
        name="admin-platform-key-rotate",
    ),
]
