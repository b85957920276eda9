"""Which of an answer's media types a request prefers, where no DRF renderer negotiates."""

from kernel.errors import NotAcceptable
from kernel.http.hot import HotRequest

_QUALITY = "q="


def chosen(request: HotRequest, *offered: str) -> str:
    """Choose among the offered media types; the first one is the default.

    As DRF does: the most specific range that the header Accept names decides, whatever its
    quality, unless that is 0.

    Raises:
        kernel.errors.NotAcceptable: none of them is accepted.
    """
    accept: str = request.META.get("HTTP_ACCEPT", "")
    if accept in ("", "*/*", offered[0]):
        return offered[0]
    ranges = [one for one in map(_range, accept.split(",")) if one]
    for wanted in sorted(ranges, key=lambda one: one.count("*")):
        for media_type in offered:
            kind = media_type.partition("/")[0]
            if wanted in (media_type, f"{kind}/*", "*/*"):
                return media_type
    raise NotAcceptable("Could not satisfy the request Accept header.")


def _range(text: str) -> str:
    """Give a media range without its parameters; nothing for one that is refused."""
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    refused = any(
        part.startswith(_QUALITY) and not part.removeprefix(_QUALITY).strip("0.")
        for part in parameters
    )
    return "" if refused else name
