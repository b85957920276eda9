"""Reads of subjects."""

from django.db import models

from billing.subscriptions.models import Subject
from billing.subscriptions.models.subjects import SUBJECT_PREFIX
from kernel import ids
from kernel.errors import NotFound


def listed() -> models.QuerySet[Subject]:
    """Give the subjects that the context may see, by key."""
    return Subject.objects.order_by("key", "id")


def find(id_or_key: str) -> Subject:
    """Find a subject that the context may see, by id (``sbj_…``) or key; the oldest of several.

    Raises:
        kernel.errors.NotFound: there is none.
    """
    named = ids.read(SUBJECT_PREFIX, id_or_key)
    rows = Subject.objects.all()
    rows = rows.filter(key=id_or_key) if named is None else rows.filter(id=named)
    found = rows.order_by("id").first()
    if found is None:
        raise NotFound("There is no such subject.", code="subject_not_found")
    return found
