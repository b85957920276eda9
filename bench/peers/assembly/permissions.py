"""Who may call: holders of an organisation's key."""

from rest_framework_api_key.permissions import BaseHasAPIKey

from assembly.models import OrganizationAPIKey


class HasOrganizationAPIKey(BaseHasAPIKey):
    """Admits a usable key and keeps it on the request, so that it is looked up once."""

    model = OrganizationAPIKey

    def has_permission(self, request, view):
        """As the base class, with one query where the guide's pattern makes two."""
        key = self.get_key(request)
        if not key:
            return False
        try:
            request.api_key = self.model.objects.get_from_key(key)
        except self.model.DoesNotExist:
            return False
        return not request.api_key.has_expired
