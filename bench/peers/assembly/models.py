"""Organisations, their keys, their flags and what they used."""

from auditlog.registry import auditlog
from django.conf import settings
from django.core.cache import cache
from django.db import models
from rest_framework_api_key.models import AbstractAPIKey, BaseAPIKeyManager
from waffle.models import CACHE_EMPTY, AbstractUserFlag
from waffle.utils import get_setting, keyfmt


class Organization(models.Model):
    """A customer of the operator."""

    name = models.CharField(max_length=128)
    slug = models.SlugField(unique=True)
    plan = models.CharField(max_length=32, default="basic")
    active = models.BooleanField(default=True)


class OrganizationAPIKeyManager(BaseAPIKeyManager):
    """Keys of active organisations, each with its organisation in the same query."""

    def get_usable_keys(self):
        """As the package's guide shows, plus select_related to save a second query."""
        return (
            super()
            .get_usable_keys()
            .filter(organization__active=True)
            .select_related("organization")
        )


class OrganizationAPIKey(AbstractAPIKey):
    """An API key of one organisation."""

    objects = OrganizationAPIKeyManager()
    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="api_keys"
    )

    class Meta(AbstractAPIKey.Meta):
        """The package's ordering and names."""


class Flag(AbstractUserFlag):
    """A flag that can be granted to organisations: the pattern of django-waffle's documentation."""

    organizations = models.ManyToManyField(Organization, blank=True)

    def _organizations_cache_key(self):
        return keyfmt(
            get_setting("FLAG_ORGANIZATIONS_CACHE_KEY", "flag:%s:organizations"), self.name
        )

    def get_flush_keys(self, flush_keys=None):
        """Flush the organisations' cache entry together with the flag's own."""
        return [*super().get_flush_keys(flush_keys), self._organizations_cache_key()]

    def is_active_for_organization(self, organization):
        """Whether the flag is granted to the organisation; from the cache after the first look."""
        key = self._organizations_cache_key()
        cached = cache.get(key)
        if cached == CACHE_EMPTY:
            return False
        if cached is None:
            cached = set(self.organizations.values_list("pk", flat=True))
            cache.add(key, cached or CACHE_EMPTY)
        return organization.pk in cached


class UsageRecord(models.Model):
    """One admitted call."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE)
    api_key = models.ForeignKey(OrganizationAPIKey, on_delete=models.CASCADE)
    feature = models.CharField(max_length=64)
    quantity = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        """Usage is read per organisation and period."""

        indexes = [models.Index(fields=["organization", "created_at"])]


auditlog.register(Organization)
if settings.AUDIT_USAGE:
    auditlog.register(UsageRecord)
