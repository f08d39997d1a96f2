"""Policy: every threshold, limit, route and deadline, with its unit and source, as one immutable version.

A policy is a TOML text that a risk officer can read (`deploy/policy/`). `parse_policy` turns it into Structs
and refuses unknown keys, gaps and contradictions, saying where. No figure lives in code.
"""

import difflib
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

import msgspec
from msgspec import Struct

from models.calendar import BankCalendar, CalendarConfig
from models.events import Currency, Instant
from models.risk_warning import SEVERITIES, Department, Severity

Level = Literal["observation", "warning", "control"]
LEVELS: tuple[Level, ...] = ("observation", "warning", "control")


class PolicyError(ValueError):
    """A policy text that must not be used. The message names the key and the remedy."""


class Part(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the policy file."""


class Figure(Part, frozen=True, kw_only=True):
    """One number: its value, its unit and where it comes from."""

    value: Decimal
    unit: str
    source: str

    @property
    def whole(self) -> int:
        return int(self.value)


class Amounts(Part, frozen=True, kw_only=True):
    """One threshold in several currencies. An amount in another currency is converted to `money.foreign`."""

    amounts: dict[Currency, Decimal]
    source: str


class Money(Part, frozen=True, kw_only=True):
    """Currencies: `base` is the book's; `foreign` stands for all that have no threshold of their own."""

    base: Currency
    foreign: Currency
    rates: dict[Currency, Figure]  # value of one unit in `base`


class Events(Part, frozen=True, kw_only=True):
    lateness: Figure  # days an event may come behind its customer's newest
    future_tolerance: Figure  # minutes an event may be ahead of its arrival


class Episodes(Part, frozen=True, kw_only=True):
    every_event_until: Figure  # events; beyond it a warning is revised at each doubling
    renotify_after: Figure  # hours of event time
    remember: Figure  # days after its window for which a warning can still change


class Rule(Part, frozen=True, kw_only=True):
    """What every detector's table has."""

    mode: Literal["live", "shadow", "off"]
    departments: tuple[Department, ...]
    measures: tuple[str, ...]


class LargeTransaction(Rule, frozen=True, kw_only=True):
    cash: Amounts
    entity_transfer: Amounts
    person_domestic: Amounts
    person_cross_border: Amounts
    exempt_purposes: tuple[str, ...]
    medium_from: Figure  # times the threshold
    high_from: Figure


class FrequentLargeTransfers(Rule, frozen=True, kw_only=True):
    large_from: Figure  # share of the reporting threshold from which a transfer is large
    a_day: Figure
    consecutive_days: Figure
    within: Figure  # working days
    severity: Severity
    many_payees: Figure
    new_payees: Figure
    new_payee_after: Figure  # days without a dealing
    high_risk_countries: tuple[str, ...]
    high_risk_source: str
    watch_list: tuple[str, ...]  # counterparties by account or name
    watch_list_source: str


class TellerReport(Rule, frozen=True, kw_only=True):
    severity: Severity
    corroborated_within: Figure  # days between a report and a machine warning that raise each other


class LevelFigures(Part, frozen=True, kw_only=True):
    observation: Figure
    warning: Figure
    control: Figure

    def __getitem__(self, level: Level) -> Decimal:
        value: Figure = getattr(self, level)
        return value.value


class IndustryConcentration(Rule, frozen=True, kw_only=True):
    scheme: Literal["gbt4754", "naics", "as_given"]
    share: LevelFigures  # of the entity's book
    net_capital: LevelFigures  # times net capital
    release: Figure  # share below a level at which it is left again
    minimum_book: Figure  # in money.base
    minimum_loans: Figure
    severities: dict[Level, Severity]


class Detectors(Part, frozen=True, kw_only=True):
    large_transaction: LargeTransaction
    frequent_large_transfers: FrequentLargeTransfers
    teller_report: TellerReport
    industry_concentration: IndustryConcentration


class Deadlines(Part, frozen=True, kw_only=True):
    """Working hours a department has, from the warning that opened its task."""

    acknowledge: Figure
    complete: Figure


class Measure(Part, frozen=True, kw_only=True):
    """Something a department does: whose it is, what it is called, and its own deadline where it has one."""

    department: Department
    zh: str
    en: str
    due: Figure | None = None  # working days, when stricter law than the severity's deadline applies


class Response(Part, frozen=True, kw_only=True):
    deadlines: dict[Severity, Deadlines]
    escalation: tuple[str, ...]  # who is told at each further breach, lowest first
    escalate_every: Figure  # working hours between two steps
    measures: dict[str, Measure]
    owners: dict[Department, str]  # the liaison named in each department


class Head(Part, frozen=True, kw_only=True):
    id: str
    version: str
    valid_from: Instant
    title_zh: str
    title_en: str
    proposed_by: str
    approved_by: str


class Policy(Part, frozen=True, kw_only=True, dict=True):
    """One version of all figures."""

    policy: Head
    calendar: CalendarConfig
    money: Money
    events: Events
    episodes: Episodes
    detectors: Detectors
    response: Response

    @cached_property
    def bank_calendar(self) -> BankCalendar:
        return BankCalendar(self.calendar)

    @cached_property
    def rates(self) -> dict[str, Decimal]:
        return {self.money.base: Decimal(1)} | {code: figure.value for code, figure in self.money.rates.items()}

    @property
    def version(self) -> str:
        return self.policy.version

    @cached_property
    def lateness(self) -> timedelta:
        return timedelta(days=self.events.lateness.whole)

    @cached_property
    def future_tolerance(self) -> timedelta:
        return timedelta(minutes=self.events.future_tolerance.whole)


def parse_policy(text: bytes | str, origin: str = "policy") -> Policy:
    """Read a policy from TOML.

    Args:
        text: the TOML text.
        origin: what to call it in errors, e.g. the file's name.

    Raises:
        PolicyError: not TOML, a key that is missing, unknown (with the nearest known one) or of a wrong type,
            or figures that contradict one another.
    """
    try:
        raw = msgspec.toml.decode(text)
        policy = msgspec.convert(raw, Policy, strict=False)
    except msgspec.ValidationError as error:
        raise PolicyError(f"{origin}: {error}{_nearest(str(error))}") from error
    except msgspec.DecodeError as error:
        raise PolicyError(f"{origin}: not TOML: {error}") from error
    problems = list(_contradictions(policy))
    if problems:
        raise PolicyError(f"{origin}: " + "; ".join(problems))
    return policy


def _nearest(message: str) -> str:
    """For an unknown key: the known one that it is probably meant to be."""
    if "unknown field" not in message:
        return ""
    wrong = message.split("`")[1]
    close = difflib.get_close_matches(wrong, sorted(_known_keys(Policy)), n=1)
    return f" (did you mean `{close[0]}`?)" if close else ""


def _known_keys(kind: Any) -> set[str]:
    keys: set[str] = set()
    for info in msgspec.structs.fields(kind):
        keys.add(info.name)
        if isinstance(info.type, type) and issubclass(info.type, Struct):
            keys |= _known_keys(info.type)
    return keys


def _contradictions(policy: Policy) -> Any:
    """What no type can say: order of bands, coverage of thresholds and routes, four eyes."""
    if policy.policy.proposed_by == policy.policy.approved_by:
        yield "policy.approved_by must differ from policy.proposed_by"
    if policy.money.foreign not in policy.rates:
        yield f"money.rates lacks {policy.money.foreign}, which money.foreign names"
    large = policy.detectors.large_transaction
    for name in ("cash", "entity_transfer", "person_domestic", "person_cross_border"):
        amounts: Amounts = getattr(large, name)
        for needed in (policy.money.base, policy.money.foreign):
            if needed not in amounts.amounts:
                yield f"detectors.large_transaction.{name}.amounts lacks {needed}"
        if any(value <= 0 for value in amounts.amounts.values()):
            yield f"detectors.large_transaction.{name}.amounts must be above zero"
    if not 1 < large.medium_from.value < large.high_from.value:
        yield "detectors.large_transaction.medium_from must be above 1 and below high_from"
    industry = policy.detectors.industry_concentration
    for name in ("share", "net_capital"):
        levels: LevelFigures = getattr(industry, name)
        if not 0 < levels.observation.value < levels.warning.value < levels.control.value:
            yield f"detectors.industry_concentration.{name} must rise from observation over warning to control"
    if levels_missing := [level for level in LEVELS if level not in industry.severities]:
        yield f"detectors.industry_concentration.severities lacks {', '.join(levels_missing)}"
    if not 0 <= industry.release.value < industry.share.observation.value:
        yield "detectors.industry_concentration.release must be from 0 to below share.observation"
    frequent = policy.detectors.frequent_large_transfers
    if not 0 < frequent.large_from.value <= 1:
        yield "detectors.frequent_large_transfers.large_from must be above 0 and at most 1"
    if not 1 <= frequent.consecutive_days.whole <= frequent.within.whole:
        yield "detectors.frequent_large_transfers.consecutive_days must be from 1 to within"
    # A block of working days with holidays in it lasts about twice as many days.
    days_needed = policy.events.lateness.whole + policy.detectors.teller_report.corroborated_within.whole
    days_needed += 2 * (frequent.within.whole + frequent.consecutive_days.whole)
    if policy.episodes.remember.whole < days_needed:
        yield f"episodes.remember must be at least {days_needed} days for the windows and lateness given"
    if missing := [severity for severity in SEVERITIES if severity not in policy.response.deadlines]:
        yield f"response.deadlines lacks {', '.join(missing)}"
    for name in Detectors.__struct_fields__:
        rule: Rule = getattr(policy.detectors, name)
        for measure in rule.measures:
            if measure not in policy.response.measures:
                yield f"detectors.{name}.measures names {measure}, which response.measures lacks"
        for department in rule.departments:
            if department not in policy.response.owners:
                yield f"detectors.{name}.departments names {department}, which response.owners lacks"


class PolicyHistory:
    """Versions by the event time from which they hold. The first one also governs everything before it."""

    def __init__(self, *versions: Policy) -> None:
        if not versions:
            raise PolicyError("at least one policy version is needed")
        self._versions = sorted(versions, key=lambda policy: policy.policy.valid_from)

    def at(self, instant: datetime) -> Policy:
        """The version in force at an event time."""
        if len(self._versions) == 1:
            return self._versions[0]
        valid = [policy for policy in self._versions if policy.policy.valid_from <= instant]
        return valid[-1] if valid else self._versions[0]

    @property
    def latest(self) -> Policy:
        return self._versions[-1]
