"""Money: an exact Decimal amount with an ISO 4217 currency, and how it is read from text.

Amounts never pass through a binary float. `read_amount` is the one gate for text and numbers that
come from outside; `check_amount` is the one rule for what a valid amount is.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

from babel.numbers import get_currency_precision, list_currencies

# ASCII digits only: Decimal() itself would take full-width and Arabic digits, underscores and blanks.
_AMOUNT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?")
# A quadrillion: beyond any single booking, and it keeps sums of millions of bookings within 28 digits.
MAX_AMOUNT = Decimal("1e15")


class InvalidField(ValueError):
    """A value that an event must not carry.

    Args:
        field: the name of the field, as on the wire (`amount`, `counterparty.country`).
        reason: a short code a dead letter is filed under, e.g. `not_positive`.
        detail: what is wrong and what would be right, for a person.
    """

    def __init__(self, field: str, reason: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field
        self.reason = reason
        self.detail = detail


class UnknownRate(ValueError):
    """No exchange rate for this currency: the caller must fail closed, never guess."""

    def __init__(self, currency: str) -> None:
        super().__init__(f"no exchange rate for {currency}")
        self.currency = currency


@lru_cache(maxsize=512)
def currency_places(currency: str) -> int:
    """Decimal places of a currency (ISO 4217): 2 for CNY, 0 for JPY, 3 for KWD.

    Raises:
        InvalidField: the code is no ISO 4217 currency.
    """
    if currency not in list_currencies():
        raise InvalidField("currency", "unknown_currency", f"{currency!r} is no ISO 4217 currency code")
    return get_currency_precision(currency)


def read_amount(text: str, field: str = "amount") -> Decimal:
    """Read a number as Decimal, exactly: `read_amount("149937.29")`.

    Raises:
        InvalidField: the text is not one plain number in ASCII digits (no separators, blanks, NaN, Infinity).
    """
    if not _AMOUNT.fullmatch(text):
        raise InvalidField(field, "not_a_number", f"{text[:40]!r} is no plain decimal number such as 1234.50")
    return Decimal(text)


def check_amount(amount: Decimal, currency: str, field: str = "amount") -> None:
    """Refuse what is no positive amount of money in this currency.

    Raises:
        InvalidField: not finite, not positive, too large, or more places than the currency has.
    """
    if not amount.is_finite():
        raise InvalidField(field, "not_finite", f"{amount} is not a finite number")
    if amount <= 0:
        raise InvalidField(field, "not_positive", f"{amount} must be above zero")
    if amount >= MAX_AMOUNT:
        raise InvalidField(field, "too_large", f"{amount:.3e} is beyond {MAX_AMOUNT:.0e}")
    places = currency_places(currency)
    if -int(amount.as_tuple()[2]) > places:
        raise InvalidField(field, "too_many_places", f"{amount} has more than the {places} places of {currency}")


def convert(amount: Decimal, currency: str, to: str, rates: Mapping[str, Decimal]) -> Decimal:
    """Convert through a base: `rates` gives the value of one unit of each currency in the base currency.

    >>> convert(Decimal("10"), "USD", "CNY", {"CNY": Decimal(1), "USD": Decimal("7.2")})
    Decimal('72.0')

    Raises:
        UnknownRate: either currency has no rate.
    """
    if currency == to:
        return amount
    for code in (currency, to):
        if code not in rates:
            raise UnknownRate(code)
    value = amount * rates[currency]
    return value if rates[to] == 1 else value / rates[to]
