"""Customers: making a tenant in OpenMeter's words, describing it, and closing it.

A customer is a tenant (docs/adr/0098). What the operator decides (name, key, subjects, currency,
whether it lives) is changed across tenants, as staff; its profile it may keep itself.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from psycopg.types.json import Jsonb

from audit.services import audited, record
from billing.actions import CUSTOMER_CHANGED
from billing.subscriptions.models.profiles import CustomerProfile
from billing.subscriptions.queries.customers import PROFILES
from billing.subscriptions.services.subjects import LONGEST_KEY, MOST_AT_ONCE, attribute
from billing.usage.metadata import LONGEST_TEXT, metadata_faults
from kernel import db
from kernel.errors import Conflict, FieldError, Forbidden, Invalid
from kernel.ids import new_id
from tenants import services as tenants
from tenants.models import MAX_NAME, SLUG_PATTERN, Tenant
from tenants.queries import by_id

DEFAULT_PLAN: Final = "basic"
"""What a customer gets that is made without a word about its plan."""
ADDRESS: Final = frozenset(
    {"country", "postalCode", "state", "city", "line1", "line2", "phoneNumber"}
)
_SHOWN: Final = ("description", "primary_email", "currency", "billing_address", "metadata")
_CHANGE: Final = (
    "description = $1, primary_email = $2, currency = $3, billing_address = $4, metadata = $5,"
    " updated_at = clock_timestamp()"
)
_SLUG: Final = re.compile(SLUG_PATTERN)
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_LONGEST_SLUG_WORD: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """Everything that is said of a customer; ``key`` None makes one of the name, or keeps it."""

    name: str
    key: str | None = None
    subject_keys: Sequence[str] = ()
    description: str = ""
    primary_email: str = ""
    currency: str = ""
    billing_address: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Look for faults of form.

        Raises:
            kernel.errors.Invalid: with one entry a fault.
        """
        faults = []
        if not 1 <= len(self.name.strip()) <= MAX_NAME:
            message = f"A name has 1 to {MAX_NAME} characters."
            faults.append(FieldError("/name", "invalid_name", message))
        if self.key is not None and not _SLUG.fullmatch(self.key):
            message = "A key is a lower-case DNS label, 1 to 63 long."
            faults.append(FieldError("/key", "invalid_slug", message))
        if self.currency and not _CURRENCY.fullmatch(self.currency):
            message = "A currency is three capitals, as in ISO 4217."
            faults.append(FieldError("/currency", "invalid", message))
        texts = (self.description, self.primary_email, *self.billing_address.values())
        if any(len(text) > LONGEST_TEXT or "\0" in text for text in texts):
            faults.append(FieldError("", "invalid", f"A text has up to {LONGEST_TEXT} characters."))
        if set(self.billing_address) - ADDRESS:
            message = f"An address has {', '.join(sorted(ADDRESS))}."
            faults.append(FieldError("/billingAddress", "unknown", message))
        faults += metadata_faults(self.metadata)
        faults += self._subject_faults()
        if faults:
            raise Invalid(faults[0].message, code="invalid_customer", errors=faults)

    def _subject_faults(self) -> list[FieldError]:
        pointer = "/usageAttribution/subjectKeys"
        keys = self.subject_keys
        if len(keys) > MOST_AT_ONCE or len(set(keys)) != len(keys):
            message = f"There are up to {MOST_AT_ONCE} different subject keys."
            return [FieldError(pointer, "invalid", message)]
        if any(not 0 < len(key) <= LONGEST_KEY or "\0" in key for key in keys):
            return [FieldError(pointer, "invalid_key", f"A key has 1 to {LONGEST_KEY} characters.")]
        return []


def create(new: Description, plan: str = DEFAULT_PLAN) -> tuple[Tenant, CustomerProfile]:
    """Make a tenant with its plan, profile and subjects; as staff, across tenants.

    Raises:
        kernel.errors.Invalid: a fault of form, or no such plan.
        kernel.errors.Conflict: the key is taken, or a subject is another customer's.
    """
    new.check()
    with audited():
        tenant = tenants.create(
            tenants.NewTenant(name=new.name, slug=new.key or _key_of(new.name), plan=plan)
        )
        profile = _describe(tenant, new, CustomerProfile(tenant_id=tenant.id), ())
        _attribute(tenant.id, (), new.subject_keys)
    return tenant, profile


def replace(
    tenant_id: UUID, said: Description, *, by_operator: bool
) -> tuple[Tenant, CustomerProfile]:
    """Say everything anew of a customer; what is not said is empty from now on.

    Raises:
        kernel.errors.Invalid: a fault of form.
        kernel.errors.Conflict: another key, which never changes, or another customer's subject.
        kernel.errors.Forbidden: the customer itself changes what the operator decides.
    """
    said.check()
    with audited():
        tenant = by_id(tenant_id)
        if said.key not in (None, tenant.slug):
            raise Conflict("The key of a customer never changes.", code="customer_key_fixed")
        found = PROFILES.read("tenant_id = $1::uuid", [tenant_id], "FOR UPDATE")
        profile = found[0] if found else CustomerProfile(tenant_id=tenant_id)
        subjects = _subjects(tenant_id)
        if not by_operator:
            _refuse_operators(tenant, profile, subjects, said)
        elif said.name.strip() != tenant.name:
            tenant = tenants.rename(tenant_id, said.name)
        profile = _describe(tenant, said, profile, subjects)
        if by_operator:
            _attribute(tenant_id, subjects, said.subject_keys)
    return tenant, profile


def delete(tenant_id: UUID) -> None:
    """Close a customer and free its subjects; as staff. Its usage, invoices and audit log stay."""
    with audited():
        tenants.close(tenant_id)
        _attribute(tenant_id, _subjects(tenant_id), ())


def _refuse_operators(
    tenant: Tenant, profile: CustomerProfile, subjects: Sequence[str], said: Description
) -> None:
    """Refuse what a tenant's own key may not change.

    Raises:
        kernel.errors.Forbidden: it would.
    """
    kept = (tenant.name, profile.currency, sorted(subjects))
    if (said.name.strip(), said.currency, sorted(said.subject_keys)) != kept:
        raise Forbidden(
            "Name, currency and subjects of a customer are changed by the operator.",
            code="operator_only",
        )


def _describe(
    tenant: Tenant, said: Description, profile: CustomerProfile, subjects: Sequence[str]
) -> CustomerProfile:
    before = {name: getattr(profile, name) for name in _SHOWN} | {"subjects": sorted(subjects)}
    for name in _SHOWN:
        value = getattr(said, name)
        setattr(profile, name, dict(value) if isinstance(value, Mapping) else value)
    if profile._state.adding:
        PROFILES.insert(profile)
    else:
        (profile,) = PROFILES.update(_CHANGE, "id = $6::uuid", _values(profile))
    after = {name: getattr(profile, name) for name in _SHOWN}
    record(
        action=CUSTOMER_CHANGED.name,
        target_type="tenant",
        target_id=tenant.public_id,
        tenant_id=tenant.id,
        before=before,
        after=after | {"subjects": sorted(said.subject_keys)},
    )
    return profile


def _values(profile: CustomerProfile) -> list[Any]:
    """Give what _CHANGE writes, and the profile's id."""
    texts = (profile.description, profile.primary_email, profile.currency)
    documents = (Jsonb(profile.billing_address), Jsonb(profile.metadata))
    return [*texts, *documents, profile.id]


def _subjects(tenant_id: UUID) -> list[str]:
    found = db.rows(
        "SELECT subject FROM billing_usage_attribution WHERE tenant_id = $1::uuid", [tenant_id]
    )
    return [row[0] for row in found]


def _attribute(tenant_id: UUID, before: Sequence[str], after: Sequence[str]) -> None:
    """Let exactly these subjects of the operator's events be the customer's, from now on."""
    gone = sorted(set(before) - set(after))
    if gone:
        db.rows(
            "DELETE FROM billing_usage_attribution"
            " WHERE tenant_id = $1::uuid AND subject = ANY ($2::text[])",
            [tenant_id, gone],
        )
    fresh = sorted(set(after) - set(before))
    if fresh:
        attribute(fresh, tenant_id)


def _key_of(name: str) -> str:
    """Make a key of a name, with a tail that keeps it apart from others."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower())[:_LONGEST_SLUG_WORD].strip("-")
    return f"{words or 'customer'}-{new_id().hex[-8:]}"
