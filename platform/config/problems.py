"""The catalogue of problem codes: what each means and what to do. Pages show it; tests check it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """What a code means, and the remedy. ``status`` is the HTTP status it comes with."""

    status: int
    meaning: str
    remedy: str


PAGES: dict[str, Problem] = {
    "address_not_allowed": Problem(
        403,
        "The API key carries a list of networks, and this request comes from outside them.",
        "Call from a listed network, or create a key whose cidrs include the caller's address.",
    ),
    "conflict": Problem(
        409,
        "The state of the resource does not allow this now.",
        "Read the resource, then decide again.",
    ),
    "csrf_failed": Problem(403, "A staff form was stale.", "Load the page again."),
    "forbidden": Problem(403, "This is not permitted.", "Ask for the permission."),
    "gone": Problem(410, "The resource has ended.", "Create another."),
    "insufficient_permissions": Problem(
        403,
        "The API key is valid and lacks the permission that the route asks for.",
        "Use a key with the permission that extensions.required names.",
    ),
    "internal_error": Problem(
        500,
        "Something failed on the operator's side.",
        "Try again later; name the request id when you ask for help.",
    ),
    "invalid": Problem(
        400,
        "The input breaks a rule of form or meaning.",
        "Each entry of errors names the faulty field by a JSON pointer.",
    ),
    "invalid_key": Problem(
        401, "The API key is not valid here.", "Check that the whole key was copied."
    ),
    "key_disabled": Problem(
        401, "The API key is disabled or was revoked.", "Create a new key; a revocation is final."
    ),
    "key_expired": Problem(401, "The API key has expired.", "Create a new key."),
    "malformed_body": Problem(
        400, "The body could not be read as what Content-Type says.", "Send well-formed JSON."
    ),
    "malformed_request": Problem(
        400, "The request itself is malformed.", "Check host, path and header fields."
    ),
    "method_not_allowed": Problem(
        405, "The route exists and does not know this method.", "The Allow header lists them."
    ),
    "missing_credential": Problem(
        401, "The route needs an API key.", "Send the header Authorization: Bearer <key>."
    ),
    "not_acceptable": Problem(
        406, "No representation matches the Accept header.", "Accept application/json."
    ),
    "not_found": Problem(
        404,
        "There is no such resource, or none that this caller may know of.",
        "Check the id, and which tenant the key belongs to.",
    ),
    "operator_only": Problem(
        403, "The route is the operator's.", "Use a platform key; tenant keys never pass."
    ),
    "precondition_failed": Problem(
        412, "A condition that the request rests on does not hold.", "Read the resource again."
    ),
    "quota_exceeded": Problem(
        429,
        "A quota of a calendar window is used up; this request was not counted.",
        "Wait until Retry-After or extensions.resetSeconds has passed, or take a larger plan.",
    ),
    "rate_limited": Problem(
        429,
        "Too many requests came at once; this request was not counted.",
        "Wait for Retry-After seconds and spread requests.",
    ),
    "tenant_not_found": Problem(404, "There is no such tenant.", "Check Innkeeper-Tenant."),
    "tenant_required": Problem(
        400,
        "A platform key acts for a tenant on this route and names none.",
        "Send the header Innkeeper-Tenant: ten_….",
    ),
    "tenant_suspended": Problem(
        403, "The tenant is suspended.", "Talk to the operator; restoring takes effect at once."
    ),
    "too_large": Problem(413, "The request is larger than accepted.", "Send smaller requests."),
    "unauthenticated": Problem(401, "Nobody is authenticated.", "Present an API key."),
    "unavailable": Problem(
        503, "A part that the decision needs does not answer.", "Try again after Retry-After."
    ),
    "unprocessable": Problem(
        422,
        "The Idempotency-Key was used before with another request.",
        "Use a new key for a new request.",
    ),
    "unsupported_media_type": Problem(
        415, "The route does not read this content type.", "Send application/json."
    ),
}
