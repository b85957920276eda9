"""The one error of this package."""


class FormatError(ValueError):
    """The text or bytes are not what the C2SP specification allows."""
