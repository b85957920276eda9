"""How accounts answers the kernel's port ``owners``."""

from uuid import UUID

from accounts.roles import OWNER
from accounts.services import members
from kernel.errors import Invalid


class MembershipOwners:
    """Owners are members with the role owner (:class:`kernel.ports.Owners`)."""

    def invite(self, tenant_id: UUID, email: str) -> None:
        """Make the person an owner of the tenant, in the open transaction.

        Raises:
            kernel.errors.Invalid: no e-mail address (pointer ``/owner_email``).
        """
        try:
            members.join(tenant_id, email=email, role=OWNER)
        except Invalid as error:
            raise Invalid(error.errors[0].message, pointer="/owner_email") from error
