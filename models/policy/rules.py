"""The detectors' tables of a policy: one Struct a detector, its figures and whom it tells."""

from decimal import Decimal
from typing import Literal

from models.policy.figures import Amounts, Figure, Level, LevelFigures, Part
from models.risk_warning import Department, Severity


class Rule(Part, frozen=True, kw_only=True):
    """What every detector's table has.

    Args:
        mode: `live`; `shadow`: recorded on `warnings`, never sent and no case; `off`.
        departments: who must act, in order.
        measures: what they should do (codes of `response.measures`).
    """

    mode: Literal["live", "shadow", "off"]
    departments: tuple[Department, ...]
    measures: tuple[str, ...]


class LargeTransaction(Rule, frozen=True, kw_only=True):
    """Thresholds by class: what is reported, or where nothing is (`reported = false`), what other rules call large."""

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


class Structuring(Rule, frozen=True, kw_only=True):
    near_from: Figure  # share of the reporting threshold from which an amount below it is near
    at_least: Figure  # transactions
    within: Figure  # working days
    severity: Severity


class ScatterGather(Rule, frozen=True, kw_only=True):
    within: Figure  # days
    many_payers: Figure  # new ones, for gather
    many_payees: Figure  # new ones, for scatter
    few: Figure  # counterparties on the other side whose money is counted
    times_usual: Figure  # as many new ones as the customer usually has; 0: whatever is usual
    passed_on: Amounts | None = None  # money that comes in; none: blind to amounts
    share: Figure  # of passed_on that goes out again
    severity: Severity


class DormantReactivation(Rule, frozen=True, kw_only=True):
    dormant_after: Figure  # days without customer activity
    watch: Figure  # days after the awakening
    flow_from: Figure  # times the reporting threshold
    severity: Severity


class MissingControl(Rule, frozen=True, kw_only=True):
    identity_from: Amounts
    approval_from: Amounts
    channels: tuple[str, ...]  # where posts make these checks; empty: everywhere
    severity: Severity


class SuspiciousCounterparty(Rule, frozen=True, kw_only=True):
    listed_severity: Severity
    country_from: Amounts
    payee_from: Amounts  # payments below it do not count for the two figures that follow
    many_payees: Figure  # in one day
    new_payees: Figure  # in one day
    severity: Severity


class PostedReport(Rule, frozen=True, kw_only=True):
    """A kind of report by a post: whom it is passed on to, how grave it is."""

    severity: Severity


class TellerReport(PostedReport, frozen=True, kw_only=True):
    corroborated_within: Figure  # days between a report and a machine warning that raise each other


class Heightened(Part, frozen=True, kw_only=True):
    """Figures by which a customer is judged after a teller's report on it, on all of its accounts."""

    days: Figure  # from the report's day on, that day included
    large_from: Figure  # of frequent_large_transfers
    a_day: Figure  # likewise
    near_from: Figure  # of structuring


class Inspection(Rule, frozen=True, kw_only=True):
    """The monthly sample of each branch's large transactions, and the one after something was put right.

    Args:
        seed: of the draw; whoever knows it can repeat the draw, whoever does not cannot foresee it.
        each: transactions drawn of each class of large transactions (cash, entity transfer ...).
        resample: transactions drawn of those after a rectification, over all classes.
        resample_days: from the day after the rectification.
    """

    seed: str
    each: Figure
    resample: Figure
    resample_days: Figure
    severity: Severity


class Anomaly(Rule, frozen=True, kw_only=True):
    """Transactions that a trained model finds strange beside their customer's habit.

    While it is not off the stream learns habits; it judges from the day on from which a version names a model.

    Args:
        budget: customers a day that operations can look into, from which the model's own threshold follows.
        model: hash of the model that warns; none: habits are learnt, nobody is judged.
        challenger: hash of one that is tried beside it; its warnings are recorded and never sent.
    """

    severity: Severity
    budget: Figure
    model: str | None = None
    challenger: str | None = None


MAX_BUDGET = 200  # warnings a day: the most that a model's card can answer
# What a policy without the table says.
NO_ANOMALY = Anomaly(
    mode="off",
    departments=(),
    measures=(),
    severity="medium",
    budget=Figure(value=Decimal(20), unit="warnings a day", source="internal"),
)


class SilenceSeverities(Part, frozen=True, kw_only=True):
    silent: Severity  # no event at all on a day
    outside: Severity  # too few or too many


class Silence(Rule, frozen=True, kw_only=True):
    """When a rule, branch, channel or source has said too little or too much on a day."""

    learn: Figure  # days of the same kind, working or not, whose median is the usual number of events
    low: Figure  # share of the median below which a day is outside
    high: Figure  # times the median above which a day is outside
    minimum: Figure  # events a day: what is usually below it is not judged
    grace: Figure  # hours after midnight until a day is judged
    severities: SilenceSeverities


class MissingRate(Rule, frozen=True, kw_only=True):
    severity: Severity


MAX_GROWTH_MONTHS = 36  # no longer is it remembered what a part of a book came to


class IndustryGrowth(Part, frozen=True, kw_only=True):
    """When an industry grows too fast.

    Args:
        figures: by how much more its exposure is than at the end of the month `months` before; 0.5 is half as much
            again. An industry that had no exposure then has nothing to have grown from.
        share_from: share of the book from which its growth counts.
    """

    months: Figure
    figures: LevelFigures
    share_from: Figure


class IndustryConcentration(Rule, frozen=True, kw_only=True):
    """An industry is at the highest level that any of `share`, `net_capital` and `growth` reaches.

    Args:
        share: of the entity's book.
        net_capital: times net capital.
        growth: absent, growth is not judged.
        hhi: of the book over its industries, as a warning on the whole book; absent, it is not judged.
        release: how far below a level it is left again: of the book for `share`, else of the level's figure.
        minimum_book: in money.base.
    """

    scheme: Literal["gbt4754", "naics", "as_given"]
    share: LevelFigures
    net_capital: LevelFigures
    growth: IndustryGrowth | None = None
    hhi: LevelFigures | None = None
    release: Figure
    minimum_book: Figure
    minimum_loans: Figure
    severities: dict[Level, Severity]


class ApprovalDuringSuspension(Rule, frozen=True, kw_only=True):
    severity: Severity


class Misclassification(Rule, frozen=True, kw_only=True):
    """Which class a loan must have at least: reached above the figure (>), in days past due."""

    special_mention_after: Figure
    substandard_after: Figure
    doubtful_after: Figure
    loss_after: Figure
    contagion_from: Figure  # share of a debtor's exposure above which bad loans make all of its loans bad
    severity: Severity  # one class too good
    grave_severity: Severity  # two or more, or by contagion


class Limit(Part, frozen=True, kw_only=True):
    """What a part of an entity's book may come to. `control` is the legal or internal limit itself.

    Args:
        basis: of which the figures are a share: the entity's book, its net capital or its Tier 1 capital.
        op: whether a level is reached at its figure (`>=`) or only above it (`>`).
        allowance: added to `control`, where the regulator allows the region more.
        growth: growth over the last 36 months that must be reached as well for the levels to count.
    """

    basis: Literal["book", "net_capital", "tier1_capital"]
    op: Literal[">=", ">"] = ">="
    figures: LevelFigures
    allowance: Figure | None = None
    growth: Figure | None = None


class Limits(Rule, frozen=True, kw_only=True):
    """A rule that holds parts of the book against limits.

    Args:
        release: share of a level's figure by which it must be left before it is left (hysteresis).
        minimum_book: in money.base; a share of a tiny book says nothing.
    """

    release: Figure
    minimum_book: Figure
    severities: dict[Level, Severity]


class RealEstateConcentration(Limits, frozen=True, kw_only=True):
    """Loans for real estate, by what they are for; an absent limit is not judged."""

    total: Limit | None = None  # development and mortgages together
    development: Limit | None = None
    mortgage: Limit | None = None


class NameConcentration(Limits, frozen=True, kw_only=True):
    """Exposure to single names; an absent limit is not judged."""

    single: Limit | None = None  # a borrower
    single_tier1: Limit | None = None
    group: Limit | None = None  # a group of connected borrowers
    group_tier1: Limit | None = None
    top_ten: Limit | None = None  # the ten largest borrowers together
