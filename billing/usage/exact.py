"""Decimal arithmetic that keeps every digit: Python's own context would round to 28."""

from collections.abc import Iterable
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from functools import reduce
from typing import Final

EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""For sums, differences and products; a quotient would not end."""


def added(amounts: Iterable[Decimal | None]) -> Decimal:
    """Add up amounts, to the last digit; None adds nothing."""
    return reduce(EXACT.add, (amount for amount in amounts if amount is not None), Decimal(0))


def text_of(amount: Decimal) -> str:
    """Write an exact amount without the zeros that a column or a sum pads it with."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
