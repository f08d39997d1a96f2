"""One version of all figures."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property

from msgspec.structs import replace

from models.calendar import BankCalendar, CalendarConfig, calendar_of
from models.events import Country, Currency, Instant
from models.policy.figures import Figure, Part
from models.policy.response import Response
from models.policy.rules import (
    NO_ANOMALY,
    Anomaly,
    ApprovalDuringSuspension,
    DormantReactivation,
    FrequentLargeTransfers,
    Heightened,
    IndustryConcentration,
    Inspection,
    LargeTransaction,
    Misclassification,
    MissingControl,
    MissingRate,
    NameConcentration,
    PostedReport,
    RealEstateConcentration,
    ScatterGather,
    Silence,
    Structuring,
    SuspiciousCounterparty,
    TellerReport,
)
from models.watch_list import WatchList


class Head(Part, frozen=True, kw_only=True):
    id: str
    version: str
    valid_from: Instant  # the first instant of a day in the bank's zone: windows are judged by whole days
    title_zh: str
    title_en: str
    proposed_by: str
    approved_by: str
    replaces: str | None = None  # the version that it holds in place of, from that one's very first day on


class Money(Part, frozen=True, kw_only=True):
    """Currencies: `base` is the book's; `foreign` stands for all that have no threshold of their own."""

    base: Currency
    foreign: Currency
    rates: dict[Currency, Figure]  # value of one unit in `base`, until the `rates` topic gives a newer one


class Events(Part, frozen=True, kw_only=True):
    lateness: Figure  # days an event may come behind its customer's newest
    future_tolerance: Figure  # minutes an event may be ahead of its arrival


class Episodes(Part, frozen=True, kw_only=True):
    every_event_until: Figure  # events; beyond it a warning is revised at each doubling
    renotify_after: Figure  # hours of event time
    remember: Figure  # days after its window for which a warning can still change


class Counterparties(Part, frozen=True, kw_only=True):
    """What makes the other side of a transaction suspicious, for every rule that asks."""

    high_risk_countries: tuple[Country, ...]
    high_risk_source: str
    new_after: Figure  # days without a dealing, after which a counterparty counts as new
    name_similarity: Figure  # of 100, from which a name is taken for one on the watch list


class Credit(Part, frozen=True, kw_only=True):
    """The risk of a borrower of whom nothing better is known, both shares from 0 to 1."""

    pd: Figure  # probability of default within a year
    lgd: Figure  # loss given default


class Detectors(Part, frozen=True, kw_only=True):
    large_transaction: LargeTransaction
    frequent_large_transfers: FrequentLargeTransfers
    structuring: Structuring
    scatter_gather: ScatterGather
    dormant_reactivation: DormantReactivation
    missing_control: MissingControl
    suspicious_counterparty: SuspiciousCounterparty
    teller_report: TellerReport
    system_fault: PostedReport
    clearing_exception: PostedReport
    complaint: PostedReport
    referral: PostedReport
    financing_need: PostedReport
    inspection: Inspection
    silence: Silence
    missing_rate: MissingRate
    industry_concentration: IndustryConcentration
    real_estate_concentration: RealEstateConcentration
    name_concentration: NameConcentration
    misclassification: Misclassification
    approval_during_suspension: ApprovalDuringSuspension
    anomaly: Anomaly = NO_ANOMALY

    @property
    def anomaly_challenger(self) -> Anomaly:
        """The rule of the model that is tried out."""
        return replace(self.anomaly, mode="shadow")


class Policy(Part, frozen=True, kw_only=True, dict=True):
    """One version of all figures, as `models.policy.PolicyHistory` shows it for a day: with that day's rates and
    watch list."""

    policy: Head
    calendar: CalendarConfig
    money: Money
    events: Events
    episodes: Episodes
    counterparties: Counterparties
    credit: Credit
    detectors: Detectors
    heightened: Heightened | None = None
    response: Response

    @cached_property
    def bank_calendar(self) -> BankCalendar:
        return calendar_of(self.calendar)

    @cached_property
    def rates(self) -> dict[str, Decimal]:
        return {self.money.base: Decimal(1)} | {code: figure.value for code, figure in self.money.rates.items()}

    @cached_property
    def watch_list(self) -> WatchList:
        """The entries in force; none in a policy that is by itself."""
        return WatchList((), self.counterparties.name_similarity.whole)

    @cached_property
    def when_heightened(self) -> "Policy":
        """The same version with the figures of `[heightened]` in their places; itself where it has none."""
        if self.heightened is None:
            return self
        rules, stricter = self.detectors, self.heightened
        frequent = replace(rules.frequent_large_transfers, large_from=stricter.large_from, a_day=stricter.a_day)
        structuring = replace(rules.structuring, near_from=stricter.near_from)
        policy = replace(self, detectors=replace(rules, frequent_large_transfers=frequent, structuring=structuring))
        policy.__dict__["bank_calendar"] = self.bank_calendar
        policy.__dict__["watch_list"] = self.watch_list
        return policy

    @property
    def version(self) -> str:
        return self.policy.version

    @property
    def first_day(self) -> date:
        """The first day of the bank on which it holds."""
        return self.bank_calendar.day_of(self.policy.valid_from)

    @cached_property
    def lateness(self) -> timedelta:
        return timedelta(days=self.events.lateness.whole)

    @cached_property
    def future_tolerance(self) -> timedelta:
        return timedelta(minutes=self.events.future_tolerance.whole)

    def with_reference(self, rates: Mapping[str, Figure], watch_list: WatchList) -> "Policy":
        """The same version with these rates in place of its own, and this watch list."""
        policy = replace(self, money=replace(self.money, rates={**self.money.rates, **rates}))
        policy.__dict__["bank_calendar"] = self.bank_calendar
        policy.__dict__["watch_list"] = watch_list
        return policy
