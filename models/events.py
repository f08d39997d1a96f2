"""The events that enter Liandong: past facts, frozen, checked when they are made.

Times carry an offset, amounts are exact Decimals, ids are non-empty text in NFC. An event that breaks a
rule cannot be constructed: `InvalidField` names the field. Field by field contracts are published as JSON
schemas in `deploy/schemas/`.
"""

import unicodedata
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta, Struct
from msgspec.structs import replace

from models.money import InvalidField, check_amount

Id = Annotated[str, Meta(min_length=1, max_length=200)]
# No colon: subjects are made of it, such as industry:BANK1:K, and must say which part is which.
Entity = Annotated[str, Meta(min_length=1, max_length=200, pattern="^[^:]+$")]
Text = Annotated[str, Meta(max_length=10_000)]
Instant = Annotated[datetime, Meta(tz=True)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$")]


E = TypeVar("E", bound=Struct)


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every event shares. Unknown fields on the wire are ignored."""


def in_nfc(event: E) -> E:
    """The same event with every text in Unicode NFC, so that one name written two ways is one id.

    >>> in_nfc(Counterparty(name="Jose\u0301")).name == "Jos\u00e9"
    True
    """
    changes: dict[str, Any] = {}
    for name in event.__struct_fields__:
        value = getattr(event, name)
        if isinstance(value, str):
            fixed: Any = unicodedata.normalize("NFC", value)
        elif isinstance(value, Struct):
            fixed = in_nfc(value)
        elif isinstance(value, tuple):
            fixed = tuple(unicodedata.normalize("NFC", item) if isinstance(item, str) else item for item in value)
        else:
            continue
        if fixed != value:
            changes[name] = fixed
    return replace(event, **changes) if changes else event


class Counterparty(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The other side of a transaction, as far as the bank knows it."""

    account_id: Id | None = None
    name: Text | None = None
    bank: Text | None = None
    country: Country | None = None  # ISO 3166-1 alpha-2

    @property
    def identity(self) -> str | None:
        """What tells one counterparty from another: the account with its bank, else the name; None if neither."""
        if self.account_id:
            return f"{self.bank}/{self.account_id}" if self.bank else self.account_id
        return self.name or None


class Controls(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The checks a post says it made on a transaction."""

    identity_verified: bool | None = None
    approved_by: tuple[Id, ...] = ()


class Transaction(Event, frozen=True, kw_only=True, omit_defaults=True):
    """One booking on a customer's account. Topic `transactions`, key `customer_id`."""

    event_id: Id
    event_time: Instant
    customer_id: Id
    customer_kind: Literal["person", "entity"]
    account_id: Id
    direction: Literal["in", "out"]
    amount: Decimal
    currency: Currency
    method: Literal["cash", "transfer"]
    cross_border: bool = False
    counterparty: Counterparty | None = None
    channel: Text | None = None
    branch_id: Id | None = None
    teller_id: Id | None = None
    controls: Controls | None = None
    purpose: Text | None = None
    origin: Literal["customer", "bank"] = "customer"  # bank: interest, fees, sanctions, reversals

    def __post_init__(self) -> None:
        check_amount(self.amount, self.currency)

    @property
    def key(self) -> str:
        return self.customer_id


class Reporter(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Who at the bank files a report."""

    employee_id: Id
    post: Id
    branch_id: Id


ReportKind = Literal[
    "abnormal_transaction",
    "doubtful_document",
    "system_fault",
    "clearing_exception",
    "complaint",
    "referral",
    "financing_need",
]


class PostReport(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What a post saw. Topic `reports`, key `customer_id`, else the reporter's `branch_id`."""

    report_id: Id
    event_time: Instant
    reporter: Reporter
    kind: ReportKind
    customer_id: Id | None = None
    account_id: Id | None = None
    transaction_ids: tuple[Id, ...] = ()
    narrative: Text = ""

    @property
    def event_id(self) -> str:
        return self.report_id

    @property
    def key(self) -> str:
        return self.customer_id or self.reporter.branch_id

    @property
    def subject(self) -> str:
        return f"customer:{self.customer_id}" if self.customer_id else f"branch:{self.reporter.branch_id}"


LoanKind = Literal[
    "applied",
    "approved",
    "disbursed",
    "repaid",
    "reclassified",
    "overdue",
    "written_off",
    "reversed",
    "reviewed",  # looked through by the credit department; moves nothing
]
Classification = Literal["normal", "special_mention", "substandard", "doubtful", "loss"]
RealEstate = Literal["none", "development", "mortgage"]


class LoanEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """One step in a loan's life. Topic `loans`, key `borrower_id`."""

    event_id: Id
    event_time: Instant
    entity: Entity  # the legal entity whose book it is
    loan_id: Id
    borrower_id: Id
    group_id: Id | None = None
    kind: LoanKind
    industry: Annotated[str, Meta(max_length=40)] = ""  # GB/T 4754 or NAICS code; empty when unknown
    amount: Decimal | None = None  # of this step; steps that move no money carry none
    currency: Currency
    classification: Classification | None = None
    days_past_due: Annotated[int, Meta(ge=0)] | None = None
    real_estate: RealEstate = "none"
    region: Text | None = None  # where the borrower does business: free text, such as CN-43
    branch_id: Id | None = None
    approver_id: Id | None = None

    def __post_init__(self) -> None:
        if self.amount is not None:
            check_amount(self.amount, self.currency)
        elif self.kind in MONEY_KINDS:
            raise InvalidField("amount", "missing", f"a loan event of kind {self.kind} needs an amount")

    @property
    def key(self) -> str:
        return self.borrower_id


MONEY_KINDS = frozenset({"applied", "approved", "disbursed", "repaid", "written_off", "reversed"})


class CapitalPosition(Event, frozen=True, kw_only=True, omit_defaults=True):
    """An entity's capital as valid from a day on. Topic `capital`, key `entity`. Amounts in `currency`."""

    entity: Entity
    as_of: date
    net_capital: Decimal
    tier1_capital: Decimal
    currency: Currency = "CNY"

    def __post_init__(self) -> None:
        check_amount(self.net_capital, self.currency, "net_capital")
        check_amount(self.tier1_capital, self.currency, "tier1_capital")

    @property
    def event_id(self) -> str:
        return f"{self.entity}@{self.as_of}"

    @property
    def key(self) -> str:
        return self.entity


class Actor(Event, frozen=True, kw_only=True, omit_defaults=True):
    """Who acts on a case, and for which department."""

    employee_id: Id
    department: Id
    role: Id = "officer"


ActionKind = Literal[
    "acknowledge",
    "start",
    "complete",
    "dismiss",
    "approve",
    "reject",
    "reopen",
    "comment",
    "assign",
    "lift",  # what a measure put in force, such as a suspension, to be approved by another employee
    "find",  # something wrong, in what was inspected: it is to be put right
    "merge",  # this case follows another one, which `about` names
    "split",  # this case follows no other any more
    "restrict",  # only named roles see the case
    "release",  # everybody sees it again
]


class Action(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What a department did on a case. Topic `actions`, key the subject (the part of `case_id` before `#`).

    Args:
        about: of a `merge`, the case that this one is to follow.
    """

    action_id: Id
    event_time: Instant
    case_id: Id
    actor: Actor
    kind: ActionKind
    measure: Id | None = None
    note: Text = ""
    evidence: tuple[Id, ...] = ()
    about: Id | None = None

    def __post_init__(self) -> None:
        for field, case_id in (("case_id", self.case_id), ("about", self.about)):
            subject, mark, number = (case_id or "").rpartition("#")
            if case_id is not None and not (subject and mark and number.isascii() and number.isdigit()):
                raise InvalidField(field, "malformed", f"{case_id!r} is not like customer:C42#1")
        if self.kind == "merge" and self.about is None:
            raise InvalidField("about", "missing", "merge needs the id of the case that this one is to follow")
        if self.kind == "find" and not self.evidence:
            raise InvalidField("evidence", "missing", "find needs the ids of the events in which something was wrong")

    @property
    def event_id(self) -> str:
        return self.action_id

    @property
    def subject(self) -> str:
        return self.case_id.rpartition("#")[0]

    @property
    def key(self) -> str:
        return self.subject
