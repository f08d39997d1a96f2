"""industry_concentration a second time: every industry of an entity after every event of it, and the book's HHI.

After an event every industry is judged, since each is a share of one total. What is said of one that did not move
holds for all totals between two bounds, so that only those are looked at again whose bounds the total has passed.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from functools import cache
from heapq import heappop, heappush
from itertools import chain, groupby
from typing import NamedTuple

import polars as pl

from models.oracle.exposures import MonthEnds
from models.oracle.industries import UNKNOWN
from models.oracle.industry_book import industry_book
from models.oracle.industry_hhi import hhi_changes
from models.oracle.industry_levels import IndustryLevels, observed
from models.oracle.level_episodes import episode_warnings
from models.oracle.level_walk import Change, rises
from models.policy import LEVELS, IndustryConcentration, PolicyHistory
from models.risk_warning import Severity


class _Event(NamedTuple):
    """A row of `industry_book`."""

    entity: str
    member: str
    event_time: datetime
    day: date
    month: int
    opened: int
    exposure: int
    total: int
    capital: int | None
    unit: int
    eligible: bool


def industry_concentrations(loans: pl.DataFrame, capital: pl.DataFrame, policies: PolicyHistory) -> pl.DataFrame:
    """The detector's warnings (severity as a rank), one an episode; two that began on one day are one.

    Args:
        loans: accepted loan events.
        capital: accepted capital positions.
    """
    book = industry_book(loans, capital, policies)
    levels = {one.version: IndustryLevels(one.detectors.industry_concentration) for one in policies.versions}
    rule_of = cache(lambda day: levels[policies.on(day).version])
    events = (_Event(*row) for row in book.select(_Event._fields).iter_rows())
    of_industries = chain.from_iterable(
        _entity(of_entity, rule_of) for _, of_entity in groupby(events, lambda event: event.entity)
    )

    def severity(rule: IndustryConcentration, level: int) -> Severity:
        return rule.severities[LEVELS[level - 1]]

    found = rises(chain(of_industries, hhi_changes(book, policies)))
    return episode_warnings(found, "industry_concentration", policies, severity)


def _entity(events: Iterable[_Event], rule_of: Callable[[date], IndustryLevels]) -> Iterator[Change]:
    """What the figures of an entity's industries say, each time that they say something else."""
    held, loans, ends, bounds = dict[str, int](), dict[str, int](), MonthEnds(), _Bounds()
    said = dict[str, tuple[int, int]]()
    moved, judged_by = set[str](), None
    for event in events:
        name = event.member
        if name != UNKNOWN:
            held[name], loans[name] = event.exposure, loans.get(name, 0) + event.opened
            ends.note(name, event.month, event.exposure)
            moved.add(name)
        if not event.eligible:
            continue
        rule, capital = rule_of(event.day), (event.capital or 0, event.unit)
        if judged_by != (rule, capital, event.month):
            judged_by = rule, capital, event.month
            moved.update(held)
        moved.update(bounds.passed_by(event.total))
        for name in moved:
            then = 0 if rule.months is None else ends.at(name, event.month - rule.months)
            figures = held[name], event.total, capital, then
            verdict = rule.judge(*figures)
            bounds.hold(name, verdict.least, verdict.most)
            if said.get(name) != verdict[:2]:
                said[name] = verdict[:2]
                subject, size = f"industry:{event.entity}:{name}", loans[name]
                yield Change(subject, "", event.event_time, event.day, *verdict[:2], size, observed(verdict, *figures))
        moved.clear()


class _Bounds:
    """Between which totals what was said of each name holds."""

    def __init__(self) -> None:
        self._newest: dict[str, int] = {}
        self._count = 0
        self._above: list[tuple[float, int, str]] = []  # by the largest total
        self._below: list[tuple[float, int, str]] = []  # by the smallest one, the largest of them first

    def hold(self, name: str, least: float, most: float) -> None:
        """In place of what was held of the name before."""
        self._count += 1
        self._newest[name] = self._count
        heappush(self._above, (most, self._count, name))
        heappush(self._below, (-least, self._count, name))

    def passed_by(self, total: int) -> Iterator[str]:
        """The names for which a total is out of bounds, each until it is held again."""
        for heap, bound in ((self._above, total), (self._below, -total)):
            while heap and heap[0][0] < bound:
                _, number, name = heappop(heap)
                if self._newest[name] == number:
                    yield name
