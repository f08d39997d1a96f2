"""Which figures judge an event: the policy version, the rates and the watch list in force on its day.

Everything changes at midnight in the bank's zone only, so that a day's window is judged by one set of figures in
whatever order its events come.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from models.mutes import Mutes
from models.policy.figures import Figure, PolicyError
from models.policy.parse import parse_policy
from models.policy.succession import in_force
from models.policy.version import Policy
from models.reference import Mute, PolicyVersion, Rate, same_person
from models.watch_list import WatchEntry, WatchList

_FIRST = date.min


class PolicyHistory:
    """Versions, rates and watch list entries by the day from which they hold.

    The first version also governs everything before it; a currency's rate in the policy holds until the first
    rate given for it. What arrives later is taken with `take`; whoever holds the history then judges by it.

    Attributes:
        versions: in the order in which they come into force, without those that others replace.
        known: these and those that were replaced.
        mutes: who need not be told of what.
        models: anomaly models by their hash, of those that versions name.

    Raises:
        PolicyError: no version, two versions of one name, or of one day of which neither replaces the other, versions
            that differ in zone or currencies, or a rate for the currency that all others are measured in.
    """

    def __init__(self, *versions: Policy, rates: Iterable[Rate] = (), watch_list: Iterable[WatchEntry] = ()) -> None:
        if not versions:
            raise PolicyError("at least one policy version is needed")
        self.known = versions
        self.versions = in_force(versions)
        self.mutes = Mutes()
        self.models: Mapping[str, Any] = {}  # of `models.anomaly.model`, which policies know nothing of
        self._rates = {(rate.currency, rate.as_of): rate for rate in rates}
        self._entries = {entry.entry_id: entry for entry in watch_list}
        for rate in self._rates.values():
            self._check_rate(rate)
        self._calendar = self.versions[0].bank_calendar
        self._watch_lists: dict[tuple[int, tuple[WatchEntry, ...]], WatchList] = {}
        self._days: list[date] = []  # on which something changes; empty: to be made anew
        self._policies: list[Policy | None] = []
        self._single: Policy | None = None

    def take(self, item: Policy | PolicyVersion | Rate | WatchEntry | Mute) -> bool:
        """Take what was published, in place of what bore the same name.

        A version that is only proposed, or rejected, changes nothing.

        Returns:
            True when some day is now judged by other figures, or somebody is told of more or less.

        Raises:
            PolicyError: it must not be used; the history is unchanged.
        """
        if isinstance(item, Mute):
            return self.mutes.take(item)
        if isinstance(item, PolicyVersion):
            return item.state == "approved" and self.take(published_policy(item))
        if isinstance(item, Policy):
            if item in self.known:
                return False
            before = self.versions
            self.versions = in_force((*self.known, item))
            self.known = (*self.known, item)
            if self.versions == before:
                return False  # another had replaced it before it came
        elif isinstance(item, Rate):
            self._check_rate(item)
            if self._rates.get((item.currency, item.as_of)) == item:
                return False
            self._rates[item.currency, item.as_of] = item
        else:
            if self._entries.get(item.entry_id) == item:
                return False
            self._entries[item.entry_id] = item
        if not isinstance(item, Rate):
            self._watch_lists.clear()
        # Whoever asks next has it made anew: ten thousand entries taken in a row cost one making, not ten thousand.
        self._single, self._days = None, []
        return True

    def _check_rate(self, rate: Rate) -> None:
        base = self.versions[0].money.base
        if rate.currency == base:
            raise PolicyError(f"a rate is given for {base}, which is money.base and so worth 1")

    def at(self, instant: datetime) -> Policy:
        """What holds at an event time."""
        return self._single or self.on(self._calendar.day_of(instant))

    def on(self, day: date) -> Policy:
        """What holds on a day of the bank."""
        if not self._days:
            self._rebuild()
        if self._single is not None:
            return self._single
        index = bisect_right(self._days, day) - 1
        policy = self._policies[index]
        if policy is None:
            policy = self._policies[index] = self._made(self._days[index])
        return policy

    def version_on(self, day: date) -> Policy:
        """The version that holds on a day as it was approved: without that day's rates and watch list."""
        return next((one for one in reversed(self.versions) if one.first_day <= day), self.versions[0])

    @property
    def latest(self) -> Policy:
        """The newest version, with the newest rates and watch list."""
        return self.on(date.max)

    def longest(self, figure: Callable[[Policy], int]) -> int:
        """The largest value of a figure in any version: for how long something must be remembered."""
        return max(figure(policy) for policy in self.versions)

    @property
    def lateness(self) -> timedelta:
        """The longest that any version lets an event be late: so long must be remembered what was taken."""
        return timedelta(days=self.longest(lambda one: one.events.lateness.whole))

    def spans(self) -> list[tuple[Policy, date, date]]:
        """(policy, first day, first day after it) of each stretch of days without a change, in order."""
        if not self._days:
            self._rebuild()
        if self._single is not None:
            return [(self._single, date.min, date.max)]
        ends = [*self._days[1:], date.max]
        return [(self.on(first), first, end) for first, end in zip(self._days, ends, strict=True)]

    def _rebuild(self) -> None:
        days = {_FIRST}
        days |= {policy.first_day for policy in self.versions[1:]}
        days |= {rate.as_of for rate in self._rates.values()}
        for entry in self._entries.values():
            days |= {entry.valid_from} | ({entry.valid_until} if entry.valid_until else set())
        self._days = sorted(days)
        self._policies = [None] * len(self._days)
        self._single = self._made(_FIRST) if len(self._days) == 1 else None

    def _made(self, day: date) -> Policy:
        version = self.version_on(day)
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
        return version.with_reference(figures, self._watch_list(entries, version.counterparties.name_similarity.whole))

    def _watch_list(self, entries: list[WatchEntry], similarity: int) -> WatchList:
        """One list for all days with the same entries: rates change daily, lists of many thousand names do not."""
        key = similarity, tuple(entries)
        if key not in self._watch_lists:
            self._watch_lists[key] = WatchList(entries, similarity)
        return self._watch_lists[key]


def published_policy(published: PolicyVersion) -> Policy:
    """The policy in a published version.

    Raises:
        PolicyError: its text is no policy, or speaks of another version, day or people.
    """
    policy = parse_policy(published.text, published.event_id)
    head = policy.policy
    for what, inside, outside in (
        ("policy.id", head.id, published.policy_id),
        ("policy.version", head.version, published.version),
        ("policy.valid_from", head.valid_from, published.valid_from),
    ):
        if inside != outside:
            raise PolicyError(f"{published.event_id}: {what} is {inside} in its text, {outside} where it was proposed")
    for what, inside, outside_by in (
        ("proposed_by", head.proposed_by, published.proposed_by),
        ("approved_by", head.approved_by, published.approved_by),
    ):
        if outside_by is not None and not same_person(outside_by, inside):
            raise PolicyError(f"{published.event_id}: policy.{what} is {inside} in its text, but it was {outside_by}")
    return policy
