"""What stages say to one another and to the screens: the values of internal and compacted topics."""

from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from models.credit.industry import UNKNOWN
from models.episodes import Episode
from models.events import RealEstate
from models.policy import Level
from models.risk_warning import Finding, Severity


class LoanDelta(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one loan event does to its entity's book.

    Args:
        offset: of the loan event in its partition, or of the disbursement that it waited for; it grows, so a delta sent
            twice is known again.
        ingest_time: when the broker took the loan event.
        event_time: when it counts from: of the loan event, or of a later disbursement that it draws on.
        member, division, region, group, real_estate: the loan's, for life (see `models.credit.book`).
        amount: change of the exposure, in the policy's base currency; negative for a repayment.
        loans: change of the number of loans with a balance: -1, 0 or 1.
        borrower: whose loan it is; empty in a delta that was made before deltas said so.
        group: the group of connected borrowers that it belongs to, if any.
    """

    offset: int
    event_id: str
    event_time: datetime
    ingest_time: datetime
    member: str
    amount: Decimal
    loans: int
    division: str = UNKNOWN
    region: str = UNKNOWN
    borrower: str = ""
    group: str | None = None
    real_estate: RealEstate = "none"


class Approval(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A loan that was approved, for whoever watches that none is.

    Args:
        offset: of the loan event in its partition, as in `LoanDelta`.
        event_time, event_id, loan_id, borrower, group, real_estate, amount, currency: the loan event's.
        member: the industry that its code names on that day.
        approver: who approved it; None where the event does not say.
    """

    offset: int
    event_id: str
    event_time: datetime
    loan_id: str
    borrower: str
    member: str
    amount: Decimal
    currency: str
    group: str | None = None
    real_estate: RealEstate = "none"
    approver: str | None = None


class LoanDeltas(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one batch of one `loans` partition says of one entity. Topic `portfolio.deltas`, key `entity`.

    Args:
        deltas: how its book changes; by ascending offset, like `approvals`.
        approvals: loans approved, whose money has not gone out yet.
    """

    entity: str
    loans_partition: int
    deltas: tuple[LoanDelta, ...]
    approvals: tuple[Approval, ...] = ()

    @property
    def key(self) -> str:
        return self.entity


class LoanWatermark(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far one `loans` partition has come. Topic `portfolio.deltas`, sent to each of its partitions.

    A delta may be judged when every loans partition is past its event time (`watermark`), or has applied all
    that the broker had when the delta's event came in (`caught_up_at`): a partition without borrowers of its
    own must not hold the others up for ever.

    Args:
        loans_partition: whose progress this is.
        loans_partitions: how many there are in all; nothing is judged before each has spoken.
        watermark: the newest event time of the partition; None before the first event.
        caught_up_at: every event that the broker had taken by this instant is applied; None when not known.
    """

    loans_partition: int
    loans_partitions: int
    watermark: datetime | None = None
    caught_up_at: datetime | None = None

    @property
    def key(self) -> str:
        return WATERMARK_KEY


WATERMARK_KEY = "~watermark"  # no entity may be called so: where no headers say it, the key tells the type


class ActivityLabel(Struct, frozen=True, array_like=True):
    """Which series an event counts for, besides its source: its day at the bank, branch and channel."""

    day: date
    branch: str | None = None
    channel: str | None = None


class Told(Struct, frozen=True, array_like=True):
    """A rule told a warning for the first time: the event's offset and its day at the bank."""

    offset: int
    detector: str
    day: date


class MissingRate(Struct, frozen=True, array_like=True):
    """A record that was refused because its currency has no rate on its day."""

    offset: int
    currency: str
    event_id: str
    event_time: datetime


class LargeBooking(Struct, frozen=True, array_like=True):
    """A customer's transaction at a branch that reaches the reporting threshold by itself: what inspections draw from.

    Args:
        offset, event_id, event_time: of the transaction.
        branch: where it was made.
        kind: its class: cash, entity_transfer, person_domestic, person_cross_border.
        lacks: the controls that it needed and lacks (`identity`, `approval`).
    """

    offset: int
    event_id: str
    event_time: datetime
    branch: str
    kind: str
    lacks: tuple[str, ...] = ()


class ActivityBatch(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a stage saw in a stretch of one topic partition. Topic `activity`, all in one partition.

    It says for each offset what it counts for, so that what is sent again after a kill, cut differently, counts
    once: the receiver takes only offsets beyond the highest that it has taken. `models.activity.log` packs them.

    Args:
        topic, partition: of the events.
        first_offset: of the first cell.
        labels: what the cells speak of.
        cells: base64 of little-endian 16-bit numbers, one an offset: 0 = counts for nothing, n = `labels[n - 1]`.
        told: warnings told for the first time, by ascending offset.
        missing: records refused for want of a rate, by ascending offset.
        large: large transactions at branches, by ascending offset.
        newest: the newest event time that was accepted; None if none was.
        arrived: when the broker took that event.
    """

    topic: str
    partition: int
    first_offset: int
    labels: tuple[ActivityLabel, ...] = ()
    cells: str = ""
    told: tuple[Told, ...] = ()
    missing: tuple[MissingRate, ...] = ()
    large: tuple[LargeBooking, ...] = ()
    newest: datetime | None = None
    arrived: datetime | None = None

    @property
    def key(self) -> str:
        return ACTIVITY_KEY


class ActivityWatermark(Struct, frozen=True, kw_only=True):
    """A customers partition has judged all that the broker had. Topic `activity`.

    Args:
        partition: whose progress this is.
        partitions: how many there are in all; no day is judged before each has spoken.
        caught_up_at: every event that the broker had taken by this instant is judged.
    """

    partition: int
    partitions: int
    caught_up_at: datetime

    @property
    def key(self) -> str:
        return ACTIVITY_KEY


ACTIVITY_KEY = "~activity"  # one key, so that one worker sees the activity of all partitions


BookDimension = Literal["industry", "division", "region", "real_estate", "borrower", "group", "entity"]


class BookIndices(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How concentrated a book is over one dimension, as `models.credit.indices` says; six places.

    Args:
        members: those with an exposure above zero.
        gini, hall_tideman: None over borrowers and groups, which may be a hundred thousand and would have to be put
            in order for every line; `liandong concentration` has them.
        granularity_adjustment: over borrowers alone, every one of them of the policy's `credit` risk.
    """

    members: int
    hhi: Decimal
    hhi_normalised: Decimal
    effective_number: Decimal
    cr1: Decimal
    cr4: Decimal
    cr10: Decimal
    theil: Decimal
    gini: Decimal | None = None
    hall_tideman: Decimal | None = None
    granularity_adjustment: Decimal | None = None


class EntityIndices(Struct, frozen=True, kw_only=True):
    """The indices of an entity's book over each dimension; None over one without exposure."""

    industry: BookIndices | None
    division: BookIndices | None
    region: BookIndices | None
    real_estate: BookIndices | None
    borrower: BookIndices | None
    group: BookIndices | None


class PortfolioEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of an entity's book as it stands. Topic `portfolio`, key entity|dimension|member, compacted.

    Args:
        dimension: of the member. `entity` is the whole book (then `member` is the entity); `real_estate` has the
            members `development`, `mortgage` and `total`, which is both; of the borrowers only those have a line
            that were once at a level of a limit.
        exposure, total: in `currency`; exact.
        share: exposure / total, six places.
        limit: share at the next level not yet reached, or at control; None where no share of the book is limited.
        level: the highest that is held of any limit; for `entity` of those on the whole book, HHI and the ten largest.
        hhi, effective_number, cr4: of the whole book over this dimension, over its industries for `entity`; six
            places.
        net_capital, tier1_capital: valid at `as_of`, in `currency`.
        to_net_capital, to_tier1_capital: exposure / capital, six places; None where that is not known or not above 0.
        growth_3, growth_12, growth_36: of an industry or the entity: exposure over that at the end of the month so
            many months before that of `as_of`, less 1, six places; None where there was nothing to grow from, or
            history does not reach so far.
        indices: of the entity's line alone.
        as_of: up to when the book is judged. All other fields are of that moment: a line is written when its member
            changes, the entity's with every change.
    """

    entity: str
    dimension: BookDimension
    member: str
    exposure: Decimal
    total: Decimal
    currency: str
    loans: int
    share: Decimal
    limit: Decimal | None
    level: Level | None
    hhi: Decimal | None
    effective_number: Decimal | None
    cr4: Decimal | None
    net_capital: Decimal | None
    tier1_capital: Decimal | None = None
    to_net_capital: Decimal | None = None
    to_tier1_capital: Decimal | None = None
    growth_3: Decimal | None = None
    growth_12: Decimal | None = None
    growth_36: Decimal | None = None
    indices: EntityIndices | None = None
    as_of: datetime
    policy_version: str

    @property
    def key(self) -> str:
        return f"{self.entity}|{self.dimension}|{self.member}"


class CapitalVersion(Struct, frozen=True):
    """Net and Tier 1 capital valid from a day on, in the policy's base currency."""

    as_of: date
    net_capital: Decimal
    tier1_capital: Decimal


class Suspension(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A time in which nothing may be approved: from `started_at` (included) to `lifted_at` (not included).

    Args:
        started_by: employee.
        lifted_at: when the second of two employees agreed; None while it is in force.
        lifted_by: who proposed to lift it, and who approved that.
    """

    started_at: datetime
    started_by: str
    lifted_at: datetime | None = None
    lifted_by: tuple[str, ...] = ()


class Suspensions(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The suspensions that a case has put in force. Topic `suspensions`, key `case_id`, compacted.

    Args:
        subject: of the case, and what nothing may be approved in, such as industry:BANK1:K.
        entity: in whose book; the message goes to its partition.
        revision: grows with every change.
        spans: by start; they do not overlap.
    """

    case_id: str
    subject: str
    entity: str
    revision: int
    spans: tuple[Suspension, ...]

    @property
    def key(self) -> str:
        return self.case_id


class Reevaluated(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What history says with the reference data of today. Topic `reevaluations`, keyed as the events are.

    Args:
        customer_id, branch_id: whose events; the branch for reports on no customer.
        finding: with the gravest severity of its episode.
        partners: ids of the warnings that corroborate it.
        revision, told_severity, told_count: the newest revision that was told, 0 and None where none was.
    """

    customer_id: str | None = None
    branch_id: str | None = None
    detector: str
    version: int
    finding: Finding
    partners: tuple[str, ...] = ()
    revision: int = 0
    told_severity: Severity | None = None
    told_count: int = 0

    @property
    def key(self) -> str:
        return self.customer_id or self.branch_id or ""

    def episode(self) -> Episode:
        """The episode as it was told, for a state that has forgotten it."""
        told = Episode(self.detector, self.version, self.finding, self.finding.severity, self.partners)
        if self.told_severity is not None:
            told.revision, told.told_count = self.revision, self.told_count
            told.told_severity = told.notified_severity = self.told_severity
        return told
