"""Organisations, keys and the flag that a bench run uses."""

import json

from django.core.management.base import BaseCommand

from assembly.models import Flag, Organization, OrganizationAPIKey


class Command(BaseCommand):
    """Create what a run needs and print it as JSON: [{"slug", "plan", "key"}]."""

    def add_arguments(self, parser):
        """How many organisations of which plan."""
        parser.add_argument("--count", type=int, default=8)
        parser.add_argument("--plan", default="enterprise")
        parser.add_argument("--feature", default="webhooks")

    def handle(self, *args, count, plan, feature, **options):
        """Create the organisations with one key each and grant them the feature."""
        flag, _ = Flag.objects.get_or_create(name=feature, defaults={"superusers": False})
        rows = []
        for _ in range(count):
            slug = f"{plan}-{Organization.objects.count()}"
            organization = Organization.objects.create(name=slug.title(), slug=slug, plan=plan)
            _key, secret = OrganizationAPIKey.objects.create_key(
                name="bench", organization=organization
            )
            flag.organizations.add(organization)
            rows.append({"slug": slug, "plan": plan, "key": secret})
        flag.flush()
        self.stdout.write(json.dumps(rows))
