"""What stages say to one another and to the screens: the values of internal and compacted topics."""

from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from msgspec import Struct

from models.policy import Level


class LoanDelta(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one loan event does to its entity's book.

    Args:
        offset: of the loan event in its partition; grows, so a delta sent twice is known again.
        ingest_time: when the broker took the loan event.
        amount: change of the exposure, in the policy's base currency; negative for a repayment.
        loans: change of the number of loans with a balance: -1, 0 or 1.
    """

    offset: int
    event_id: str
    event_time: datetime
    ingest_time: datetime
    member: str
    amount: Decimal
    loans: int


class LoanDeltas(Struct, frozen=True, kw_only=True):
    """Partial totals of one batch of one `loans` partition, for one entity. Topic `portfolio.deltas`, key `entity`."""

    entity: str
    loans_partition: int
    deltas: tuple[LoanDelta, ...]

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


WATERMARK_KEY = "~watermark"  # no entity may be called so: the codec keeps control keys apart by their type


class PortfolioEntry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of an entity's book as it stands. Topic `portfolio`, key entity|dimension|member, compacted.

    Args:
        dimension: `industry`, or `entity` for the whole book (then `member` is the entity).
        exposure, total: in `currency`; exact.
        share: exposure / total, six places.
        limit: share at the next level not yet reached, or at control.
        hhi, effective_number, cr4: of the whole book over this dimension; six places.
    """

    entity: str
    dimension: Literal["industry", "entity"]
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
