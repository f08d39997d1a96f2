"""Which reporting threshold a transaction is measured against, and its value in that threshold's currency."""

from decimal import Decimal
from typing import Literal, NamedTuple

from models.events import Transaction
from models.money import convert
from models.policy import Amounts, LargeTransaction, Policy

TransactionClass = Literal["cash", "entity_transfer", "person_domestic", "person_cross_border"]


class Measured(NamedTuple):
    """A transaction beside its threshold; `value` and `threshold` are in `bucket`, a currency code."""

    kind: TransactionClass
    bucket: str
    value: Decimal
    threshold: Decimal


def classify(event: Transaction) -> TransactionClass:
    """The class by which PBOC Order 2016 No. 3, art. 5 sorts transactions."""
    if event.method == "cash":
        return "cash"
    if event.customer_kind == "entity":
        return "entity_transfer"
    return "person_cross_border" if event.cross_border else "person_domestic"


def measure(event: Transaction, policy: Policy) -> Measured:
    """Put a transaction beside its reporting threshold.

    A currency with a threshold of its own is compared in itself, any other in `money.foreign`.

    Raises:
        models.money.UnknownRate: the currency has neither a threshold nor a rate.
    """
    kind = classify(event)
    amounts: Amounts = getattr(policy.detectors.large_transaction, kind)
    if event.currency in amounts.amounts:
        return Measured(kind, event.currency, event.amount, amounts.amounts[event.currency])
    foreign = policy.money.foreign
    value = convert(event.amount, event.currency, foreign, policy.rates)
    return Measured(kind, foreign, value, amounts.amounts[foreign])


def counts(event: Transaction, rule: LargeTransaction) -> bool:
    """Whether an event is a customer's behaviour that is not exempt from reporting."""
    return event.origin == "customer" and event.purpose not in rule.exempt_purposes
