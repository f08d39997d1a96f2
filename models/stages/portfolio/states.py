"""What the portfolio keeps: an entity's book with its small dimensions, one state a borrower or group, and how far
the loans partitions have come.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct, field

from models.credit.indices_exact import EXACT
from models.credit.month_ends import MonthEnds
from models.episodes import Episode
from models.messages import CapitalVersion, LoanDelta
from models.policy import Level

MERGE_KEY = "~merge"
HHI, TOP_TEN = "hhi", "top_ten"  # the whole book's standings, beside those of real estate
RESERVED = "~"  # no entity's name begins so: the keys of all other states do

NameDimension = Literal["borrower", "group"]
NAME_DIMENSIONS: tuple[NameDimension, ...] = ("borrower", "group")


class Pending(Struct, frozen=True, array_like=True):
    """A delta that waits for the slower partitions; its fields are those of `LoanDelta`."""

    event_time: datetime
    event_id: str
    ingest_time: datetime
    member: str
    amount: Decimal
    loans: int
    division: str
    region: str
    borrower: str
    group: str
    real_estate: str

    @property
    def order(self) -> tuple[Any, ...]:
        """Deltas are judged by this, whatever the order in which they came."""
        whose = self.borrower, self.ingest_time, self.member, self.division, self.region, self.group, self.real_estate
        return self.event_time, self.amount < 0, self.event_id, whose, self.amount, self.loans

    def names(self) -> Iterator[tuple[NameDimension, str]]:
        """The borrower and the group that it belongs to, where it says so."""
        if self.borrower:
            yield "borrower", self.borrower
        if self.group:
            yield "group", self.group


def pending_of(delta: LoanDelta) -> Pending:
    return Pending(
        delta.event_time,
        delta.event_id,
        delta.ingest_time,
        delta.member,
        delta.amount,
        delta.loans,
        delta.division,
        delta.region,
        delta.borrower,
        delta.group or "",
        delta.real_estate,
    )


class Member(Struct):
    """One industry of an entity's book, its level, the day its present episode began, and what it came to before.

    Args:
        ends: its exposure at each month end.
    """

    exposure: Decimal = Decimal(0)
    loans: int = 0
    level: Level | None = None
    since: str = ""
    ends: MonthEnds = field(default_factory=MonthEnds)


class Part(Struct, array_like=True):
    """A division, a region or a kind of real estate in an entity's book."""

    exposure: Decimal = Decimal(0)
    loans: int = 0


class Standing(Struct, frozen=True, array_like=True):
    """The level that is held of a limit, and the day on which the present episode began."""

    level: Level
    since: str


class Name(Struct, omit_defaults=True):
    """A borrower or a group in an entity's book.

    Args:
        standings: by limit, the levels held; what is at none has no entry.
        episodes: by limit, the newest.
        listed: it was at a level once, so that its line stands on `portfolio`.
    """

    entity: str
    dimension: NameDimension
    member: str
    exposure: Decimal = Decimal(0)
    loans: int = 0
    standings: dict[str, Standing] = field(default_factory=dict)
    episodes: dict[str, Episode] = field(default_factory=dict)
    listed: bool = False

    @property
    def is_empty(self) -> bool:
        """Nothing is to be remembered of it."""
        return not (self.exposure or self.loans or self.standings or self.episodes or self.listed)


def name_key(entity: str, dimension: NameDimension, member: str) -> str:
    """Key of a name's state. The length tells where the entity ends: names may hold any character.

    >>> name_key("BANK1", "borrower", "B7")
    '~borrower|5|BANK1|B7'
    """
    return f"{RESERVED}{dimension}|{len(entity)}|{entity}|{member}"


def is_name_key(key: str) -> bool:
    return key.startswith(tuple(f"{RESERVED}{dimension}|" for dimension in NAME_DIMENSIONS))


class EntityState(Struct):
    """One entity's book: bounded by the number of industries, divisions, regions and of deltas that wait.

    Args:
        members: the industries.
        parts: by dimension (`division`, `region`, `real_estate`) and member.
        real_estate: by limit (`total`, `development`, `mortgage`), its exposure at each month end.
        standings: by limit (`total` and so on, `top_ten`, `hhi`), the levels held.
        offsets: by loans partition, the last offset taken, so a delta sent twice counts once.
        judged_to: event time of the newest delta judged.
        capital: by the day from which it is valid.
        episodes: by subject, the newest.
        ends: the whole book at each month end.
    """

    members: dict[str, Member] = field(default_factory=dict)
    parts: dict[str, dict[str, Part]] = field(default_factory=dict)
    real_estate: dict[str, MonthEnds] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)
    total: Decimal = Decimal(0)
    loans: int = 0
    offsets: dict[int, int] = field(default_factory=dict)
    pending: list[Pending] = field(default_factory=list)
    judged_to: datetime | None = None
    capital: list[CapitalVersion] = field(default_factory=list)
    episodes: dict[str, Episode] = field(default_factory=dict)
    ends: MonthEnds = field(default_factory=MonthEnds)

    @property
    def industries(self) -> dict[str, Decimal]:
        """Exposures by industry."""
        return {name: member.exposure for name, member in self.members.items()}

    def add(self, pending: Pending, day: date) -> list[tuple[str, str]]:
        """Take a delta into the book; the (dimension, member) that it changed."""
        member = self.members.setdefault(pending.member, Member())
        changed = [("industry", pending.member)]
        cells: list[Member | Part] = [member]
        for dimension, name in (
            ("division", pending.division),
            ("region", pending.region),
            ("real_estate", pending.real_estate),
        ):
            cells.append(self.parts.setdefault(dimension, {}).setdefault(name, Part()))
            changed.append((dimension, name))
        for cell in cells:
            cell.exposure = EXACT.add(cell.exposure, pending.amount)
            cell.loans += pending.loans
        member.ends.add(day, pending.amount)
        self.ends.add(day, pending.amount)
        self.total = EXACT.add(self.total, pending.amount)
        self.loans += pending.loans
        if pending.real_estate != "none":
            for limit in ("total", pending.real_estate):
                self.real_estate.setdefault(limit, MonthEnds()).add(day, pending.amount)
        if self.judged_to is None or pending.event_time > self.judged_to:
            self.judged_to = pending.event_time
        return changed

    def capital_on(self, day: date) -> CapitalVersion | None:
        """What is valid on a day; None before the first version."""
        index = bisect_right(self.capital, day, key=lambda one: one.as_of)
        return self.capital[index - 1] if index else None

    def real_estate_loans(self, limit: str) -> int:
        """Loans with a balance behind `total`, `development` or `mortgage`."""
        kinds = self.parts.get("real_estate", {})
        counted = ("development", "mortgage") if limit == "total" else (limit,)
        return sum(kinds[kind].loans for kind in counted if kind in kinds)


class Reach(Struct):
    """What is known of one loans partition's progress."""

    watermark: datetime | None = None
    caught_up_at: datetime | None = None


class MergeState(Struct):
    """Progress of all loans partitions, and the entities with deltas that wait."""

    partitions: int = 0
    reach: dict[int, Reach] = field(default_factory=dict)
    waiting: list[str] = field(default_factory=list)

    def releases(self, pending: Pending) -> bool:
        """Whether nothing that belongs before this delta can still come from any partition."""
        if len(self.reach) < self.partitions or not self.partitions:
            return False
        return all(
            (one.watermark is not None and one.watermark > pending.event_time)
            or (one.caught_up_at is not None and one.caught_up_at >= pending.ingest_time)
            for one in self.reach.values()
        )
