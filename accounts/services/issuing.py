"""What issuing a key asks for, whoever it is for."""

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone

from accounts.models import Environment
from accounts.models.keys import Credential
from kernel.authz import PERMISSION_PATTERN, current_principal
from kernel.errors import FieldError, Invalid
from kernel.gate.keys import MintedKey
from kernel.gate.projection import Burst, Override

MAX_LIFETIME: Final = timedelta(days=365)
MAX_NAME: Final = 100
MAX_PERMISSIONS: Final = 200
MAX_CIDRS: Final = 100
MAX_DAILY: Final = 10**15
MAX_RATE: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key to be.

    Args:
        name: what people call it.
        permissions: its grants, ``resource:action``, also of the operator's own product; None: the
            default set of :mod:`accounts.permissions`, as far as the creator has it.
        cidrs: addresses and networks it may be used from; none: anywhere.
        expires_at: at most 365 days ahead; None: 365 days.
        daily: its own daily limit; None: the plan's; a value of None lifts it.
        burst: its own burst; None: the plan's; a value of None lifts it.
        environment: live or test.
    """

    name: str
    permissions: tuple[str, ...] | None = None
    cidrs: tuple[str, ...] = ()
    expires_at: datetime | None = None
    daily: Override | None = None
    burst: Override | None = None
    environment: str = Environment.LIVE

    def check(self, now: datetime) -> None:
        """Look for faults of form.

        Raises:
            kernel.errors.Invalid: with one entry a fault.
        """
        faults = [
            *_name_faults(self.name),
            *_permission_faults(self.permissions),
            *_cidr_faults(self.cidrs),
            *_expiry_faults(self.expires_at, now),
            *_limit_faults(self.daily, self.burst),
        ]
        if self.environment not in Environment.values:
            known = " or ".join(Environment.values)
            faults.append(FieldError("/environment", "invalid", f"environment is {known}."))
        if faults:
            raise Invalid("The input has faults; see errors.", errors=faults)

    def networks(self) -> list[str]:
        """Give the address list in canonical form, each network once."""
        found = (str(ipaddress.ip_network(text, strict=False)) for text in self.cidrs)
        return list(dict.fromkeys(found))

    def end(self, now: datetime) -> datetime:
        """Give when the key expires."""
        return self.expires_at or now + MAX_LIFETIME


def drafted(new: NewKey, minted: MintedKey, permissions: Sequence[str]) -> dict[str, Any]:
    """Give the columns that a new key of either kind has, made by the caller now."""
    now, principal = timezone.now(), current_principal()
    return {
        "name": new.name.strip(),
        "public_id": minted.public_id,
        "prefix": minted.prefix,
        "permissions": list(permissions),
        "cidrs": new.networks(),
        "environment": new.environment,
        "expires_at": new.end(now),
        "created_at": now,
        "created_by_kind": principal.kind,
        "created_by_id": principal.id,
    }


def told(key: Credential) -> dict[str, Any]:
    """Give what the audit log says about a new key of either kind."""
    return {
        "name": key.name,
        "public_id": key.public_id,
        "permissions": list(key.permissions),
        "cidrs": list(key.cidrs),
        "expires_at": key.expires_at,
        "environment": key.environment,
    }


def _name_faults(name: str) -> Iterator[FieldError]:
    if not 1 <= len(name.strip()) <= MAX_NAME:
        yield FieldError("/name", "invalid_name", f"A name has 1 to {MAX_NAME} characters.")


def _permission_faults(permissions: Iterable[str] | None) -> Iterator[FieldError]:
    if permissions is None:
        return
    names = list(permissions)
    if not 1 <= len(names) <= MAX_PERMISSIONS:
        yield FieldError(
            "/permissions", "invalid_permissions", f"Name 1 to {MAX_PERMISSIONS} permissions."
        )
    for index, name in enumerate(names):
        if not PERMISSION_PATTERN.fullmatch(name):
            yield FieldError(
                f"/permissions/{index}",
                "invalid_permission",
                f"{name!r} is not resource:action.",
                "A segment may be * in whole, and nothing in part.",
            )


def _cidr_faults(cidrs: tuple[str, ...]) -> Iterator[FieldError]:
    if len(cidrs) > MAX_CIDRS:
        yield FieldError("/cidrs", "too_many", f"A list has {MAX_CIDRS} networks at most.")
    for index, text in enumerate(cidrs):
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            yield FieldError(
                f"/cidrs/{index}",
                "invalid_network",
                f"{text!r} is no address or network.",
                "Write 192.0.2.0/24 or 2001:db8::/32.",
            )


def _expiry_faults(expires_at: datetime | None, now: datetime) -> Iterator[FieldError]:
    if expires_at is None:
        return
    if expires_at <= now:
        yield FieldError("/expires_at", "in_the_past", "A key cannot expire in the past.")
    elif expires_at > now + MAX_LIFETIME:
        yield FieldError(
            "/expires_at",
            "too_far",
            f"A key lives {MAX_LIFETIME.days} days at most.",
            "Issue the next key before this one expires.",
        )


def _limit_faults(daily: Override | None, burst: Override | None) -> Iterator[FieldError]:
    if daily and isinstance(daily.value, int) and not 0 <= daily.value <= MAX_DAILY:
        yield FieldError("/daily", "invalid_limit", f"daily is 0 to {MAX_DAILY}, or null.")
    if burst and isinstance(burst.value, Burst):
        for member, value in (("rate", burst.value.rate), ("depth", burst.value.depth)):
            if not 1 <= value <= MAX_RATE:
                yield FieldError(
                    f"/burst/{member}", "invalid_limit", f"{member} is 1 to {MAX_RATE}."
                )
