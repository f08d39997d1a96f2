"""Which figures judge an event: the policy version, the rates and the watch list in force on its day.

Everything changes at midnight in the bank's zone only, so that a day's window is judged by one set of figures in
whatever order its events come.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from datetime import date, datetime

from models.policy.figures import Figure, PolicyError
from models.policy.version import Policy
from models.reference import Rate
from models.watch_list import WatchEntry, WatchList

_FIRST = date.min


class PolicyHistory:
    """Versions, rates and watch list entries by the day from which they hold.

    The first version also governs everything before it; a currency's rate in the policy holds until the first
    rate given for it.

    Raises:
        PolicyError: no version, two versions of one name or day, versions that differ in zone or currencies, or a
            rate for the currency that all others are measured in.
    """

    def __init__(self, *versions: Policy, rates: Iterable[Rate] = (), watch_list: Iterable[WatchEntry] = ()) -> None:
        if not versions:
            raise PolicyError("at least one policy version is needed")
        self.versions = tuple(sorted(versions, key=lambda policy: policy.policy.valid_from))
        self._rates = {(rate.currency, rate.as_of): rate for rate in rates}
        self._entries = {entry.entry_id: entry for entry in watch_list}
        first = self.versions[0]
        _check_names(self.versions)
        for one, other in zip(self.versions, self.versions[1:], strict=False):
            _check_successor(one, other)
        if any(rate.currency == first.money.base for rate in self._rates.values()):
            raise PolicyError(f"a rate is given for {first.money.base}, which is money.base and so worth 1")
        self._calendar = first.bank_calendar
        self._rebuild()

    def at(self, instant: datetime) -> Policy:
        """What holds at an event time."""
        return self._single or self.on(self._calendar.day_of(instant))

    def on(self, day: date) -> Policy:
        """What holds on a day of the bank."""
        if self._single is not None:
            return self._single
        index = bisect_right(self._days, day) - 1
        policy = self._policies[index]
        if policy is None:
            policy = self._policies[index] = self._made(self._days[index])
        return policy

    @property
    def latest(self) -> Policy:
        """The newest version, with the newest rates and watch list."""
        return self.on(date.max)

    def longest(self, figure: Callable[[Policy], int]) -> int:
        """The largest value of a figure in any version: for how long something must be remembered."""
        return max(figure(policy) for policy in self.versions)

    def spans(self) -> list[tuple[Policy, date, date]]:
        """(policy, first day, first day after it) of each stretch of days without a change, in order."""
        if self._single is not None:
            return [(self._single, date.min, date.max)]
        ends = [*self._days[1:], date.max]
        return [(self.on(first), first, end) for first, end in zip(self._days, ends, strict=True)]

    def _rebuild(self) -> None:
        days = {_FIRST}
        days |= {self._first_day(policy) for policy in self.versions[1:]}
        days |= {rate.as_of for rate in self._rates.values()}
        for entry in self._entries.values():
            days |= {entry.valid_from} | ({entry.valid_until} if entry.valid_until else set())
        self._days = sorted(days)
        self._policies: list[Policy | None] = [None] * len(self._days)
        self._single = self._made(_FIRST) if len(self._days) == 1 else None

    def _first_day(self, policy: Policy) -> date:
        return self._calendar.day_of(policy.policy.valid_from)

    def _made(self, day: date) -> Policy:
        version = self.versions[0]
        for later in self.versions[1:]:
            if self._first_day(later) <= day:
                version = later
        valid: dict[str, Rate] = {}
        for rate in sorted(self._rates.values(), key=lambda rate: rate.as_of):
            if rate.as_of <= day:
                valid[rate.currency] = rate
        entries = [entry for entry in self._entries.values() if entry.holds_on(day)]
        if not valid and not entries:
            return version
        base = version.money.base
        figures = {
            code: Figure(value=rate.rate, unit=f"{base} per {code}", source=rate.source) for code, rate in valid.items()
        }
        return version.with_reference(figures, WatchList(entries, version.counterparties.name_similarity.whole))


def _check_names(versions: tuple[Policy, ...]) -> None:
    names = [policy.version for policy in versions]
    for name in names:
        if names.count(name) > 1:
            raise PolicyError(f"there are two policies called {name}; a version is immutable, give the new one a name")


def _check_successor(one: Policy, other: Policy) -> None:
    if one.policy.valid_from == other.policy.valid_from:
        raise PolicyError(f"{one.version} and {other.version} hold from the same instant")
    for what, mine, theirs in (
        ("calendar.timezone", one.calendar.timezone, other.calendar.timezone),
        ("money.base", one.money.base, other.money.base),
        ("money.foreign", one.money.foreign, other.money.foreign),
    ):
        if mine != theirs:
            raise PolicyError(
                f"{other.version} has {what} {theirs}, {one.version} had {mine}: sums and days under way would change "
                "their meaning; start a pipeline of its own"
            )
