"""Which threshold a transaction is measured against, and its value in that threshold's currency."""

from decimal import Decimal
from typing import Literal, NamedTuple

from models.events import Transaction
from models.money import UnknownRate
from models.policy import Amounts, LargeTransaction, Policy

ONE = Decimal(1)
TransactionClass = Literal["cash", "entity_transfer", "person_domestic", "person_cross_border"]


class Measured(NamedTuple):
    """A transaction beside its threshold.

    Args:
        bucket: the currency of the threshold it is held against.
        value, threshold: both in units of which one `bucket` has `scale`: converted amounts are summed in the base
            currency, where nothing is rounded, and divided only to be shown.
        amounts: the figure of the policy that the threshold comes from.
    """

    kind: TransactionClass
    bucket: str
    value: Decimal
    threshold: Decimal
    scale: Decimal
    amounts: Amounts

    def reaches(self, value: Decimal | None = None, times: Decimal = ONE) -> bool:
        """Whether a value (by default the transaction's own) reaches so many times the threshold."""
        return self.amounts.reached(self.value if value is None else value, times * self.threshold)

    def shown(self, value: Decimal) -> str:
        """A sum of values as text in the bucket's currency, at most six places."""
        exact = value / self.scale
        rounded = exact.quantize(Decimal("0.000001"))
        text = f"{exact if exact == rounded and -int(exact.as_tuple()[2]) <= 6 else rounded:f}"
        return text if self.scale == 1 else _trimmed(text)


def _trimmed(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text


def classify(event: Transaction) -> TransactionClass:
    """The class by which PBOC Order 2016 No. 3, art. 5 sorts transactions."""
    if event.method == "cash":
        return "cash"
    if event.customer_kind == "entity":
        return "entity_transfer"
    return "person_cross_border" if event.cross_border else "person_domestic"


def measure(event: Transaction, policy: Policy) -> Measured:
    """Put a transaction beside the reporting threshold of its class.

    Raises:
        models.money.UnknownRate: as `measure_against`.
    """
    amounts: Amounts = getattr(policy.detectors.large_transaction, classify(event))
    return measure_against(event, amounts, policy)


def measure_against(event: Transaction, amounts: Amounts, policy: Policy) -> Measured:
    """Put a transaction beside a threshold.

    A currency with a threshold of its own is compared in itself, any other in `money.foreign`.

    Raises:
        models.money.UnknownRate: the currency has neither a threshold nor a rate.
    """
    kind, foreign = classify(event), policy.money.foreign
    if event.currency in amounts.amounts and event.currency != foreign:
        return _beside(kind, event.currency, event.amount, amounts, policy)
    if event.currency not in policy.rates:
        raise UnknownRate(event.currency)
    return _beside(kind, foreign, event.amount * policy.rates[event.currency], amounts, policy)


def sum_against(kind: TransactionClass, bucket: str, total: Decimal, policy: Policy) -> Measured:
    """A sum of the values of `Measured`s beside the reporting threshold of a day, in the units of that day."""
    return _beside(kind, bucket, total, getattr(policy.detectors.large_transaction, kind), policy)


def _beside(kind: TransactionClass, bucket: str, value: Decimal, amounts: Amounts, policy: Policy) -> Measured:
    scale = policy.rates[bucket] if bucket == policy.money.foreign else ONE
    return Measured(kind, bucket, value, amounts.amounts[bucket] * scale, scale, amounts)


def counts(event: Transaction, rule: LargeTransaction) -> bool:
    """Whether an event is a customer's behaviour that is not exempt from reporting."""
    return event.origin == "customer" and event.purpose not in rule.exempt_purposes
