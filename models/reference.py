"""Reference data that changes without a new policy: valid from a day on, in event time."""

from datetime import date
from decimal import Decimal

from models.events import Currency, Event, Text
from models.money import InvalidField


class Rate(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What one unit of a currency is worth in the policy's base currency, from a day on.

    Args:
        currency: ISO 4217.
        as_of: the first day in the bank's zone on which it holds; until the next one given.
        rate: units of the base currency for one unit.
        source: where it was published.
    """

    currency: Currency
    as_of: date
    rate: Decimal
    source: Text

    def __post_init__(self) -> None:
        if not self.rate.is_finite() or self.rate <= 0:
            raise InvalidField("rate", "not_positive", f"{self.rate} must be a finite number above zero")

    @property
    def event_id(self) -> str:
        return f"{self.currency}@{self.as_of}"

    @property
    def key(self) -> str:
        return self.event_id
