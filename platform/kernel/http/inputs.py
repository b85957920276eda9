"""Reading what a request brings: bodies whose every member is known, ids out of paths."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail
from rest_framework.request import Request

from kernel import ids
from kernel.errors import NotFound

MAX_REASON = 500


class Input(serializers.Serializer[Any]):
    """The form of a body. A member that it does not know is a fault, never ignored in silence.

    So nobody sets a field that the form does not offer, and a typing error is told, not lost.
    """

    def to_internal_value(self, data: Any) -> Any:
        """Validate the form.

        Raises:
            rest_framework.serializers.ValidationError: an unknown member, or a faulty one.
        """
        unknown = [name for name in data if name not in self.fields] if _is_object(data) else []
        if unknown:
            fault = ErrorDetail("There is no such member.", code="unknown_member")
            raise serializers.ValidationError({str(name): [fault] for name in unknown})
        return super().to_internal_value(data)


class ReasonInput(Input):
    """Why something is done; the audit log keeps it as a commitment."""

    reason = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=MAX_REASON
    )


def body(request: Request, form: type[Input]) -> dict[str, Any]:
    """Read and validate a body; members that were not sent are absent.

    Raises:
        rest_framework.serializers.ValidationError: with the pointer of each fault.
    """
    read = form(data={} if request.data is None else request.data)
    read.is_valid(raise_exception=True)
    return dict(read.validated_data)


def identifier(prefix: str, text: str, detail: str, *, code: str) -> UUID:
    """Read an id out of a path.

    Raises:
        kernel.errors.NotFound: it is none; the answer is that of an unknown id.
    """
    try:
        return ids.decode(prefix, text)
    except ids.InvalidIdError as error:
        raise NotFound(detail, code=code) from error


def tenant_id(text: str) -> UUID:
    """Read a tenant's id out of a path.

    Raises:
        kernel.errors.NotFound: it is none.
    """
    return identifier(ids.TENANT, text, "There is no such tenant.", code="tenant_not_found")


def _is_object(data: Any) -> bool:
    return isinstance(data, Mapping)
