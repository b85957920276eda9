"""The one error of this package."""


class AnchorError(Exception):
    """An anchor did not take a note. Its text is a short code for the operator."""
