"""What billing answers for its siblings, through the kernel's ports."""

from uuid import UUID

from billing.subscriptions import services
from billing.subscriptions.queries import plan_keys


class SubscribedPlans:
    """The kernel's port ``plans``: what a tenant buys (:class:`kernel.ports.Plans`)."""

    def assign(self, tenant_id: UUID, plan_key: str) -> None:
        """Give the tenant the newest version of the plan, in the open transaction.

        Raises:
            kernel.errors.Invalid: no such plan (pointer ``/plan``).
        """
        services.assign(tenant_id, plan_key)

    def key_of(self, tenant_id: UUID) -> str | None:
        """Name the plan that the tenant has now; None without one."""
        return plan_keys([tenant_id]).get(tenant_id)

    def keys_of(self, tenant_ids: list[UUID]) -> dict[UUID, str]:
        """Name the plans of many tenants in one query."""
        return plan_keys(tenant_ids)
