"""Activity: counts what all partitions saw, judges each day once it is over, and tells of currencies without a rate.

All of `activity` lies in one partition. Its states there are `~activity` (progress), one a day with the day's counts,
one a series that is outside its band, one a currency and day without a rate, and those of `models.stages.inspections`:
small ones, since a batch of events changes the progress and a day or two, and what changes is written whole.
"""

from bisect import insort
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta

from msgspec import Struct, field

from models.activity import missing_rate, silence
from models.activity.bands import judge, same_kind_before, series_of, works
from models.activity.clock import Clock
from models.activity.log import counted, last_offset
from models.activity.missing_rate import Missing
from models.activity.silence import Run
from models.episodes import Episode, tell
from models.messages import ACTIVITY_KEY, ActivityBatch, ActivityWatermark
from models.policy import PolicyHistory, Rule
from models.proofs import ProofAsk
from models.stage import Emit, Record, States, Tick
from models.stages.customers import warning_emits
from models.stages.inspections import Inspecting, Inspections

# Most series counted on a day. A bank has hundreds; a sender that writes a reference number into `channel` must not
# make a state that no broker takes. It would not be judged anyhow: none of its numbers is usual.
MOST_SERIES = 5000
ONE_DAY = timedelta(days=1)


class Day(Struct):
    """How often each series was counted on a day of the bank."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, series: str, number: int) -> None:
        if series in self.counts or len(self.counts) < MOST_SERIES:
            self.counts[series] = self.counts.get(series, 0) + number


class Progress(Struct):
    """What has been taken and judged.

    Args:
        offsets: by topic and partition, the highest offset taken, so that what is sent twice counts once.
        start: the first day with any count.
        closed: the last day that was judged or is past judging.
        oldest: the first day whose counts still matter; None while all do.
        days: those whose counts are kept, oldest first.
        missing: states of currencies and days without a rate.
        inspecting: samples of large transactions that are under way.
    """

    clock: Clock = field(default_factory=Clock)
    offsets: dict[str, dict[int, int]] = field(default_factory=dict)
    start: date | None = None
    closed: date | None = None
    oldest: date | None = None
    days: list[date] = field(default_factory=list)
    missing: dict[str, date] = field(default_factory=dict)
    inspecting: Inspecting = field(default_factory=Inspecting)


class ActivityStage:
    """Judges the number of events a day of every rule, branch, channel and source, and records without a rate."""

    name = "activity"
    topics = ("activity", "resamples")
    state_version = 1

    def __init__(self, policies: PolicyHistory) -> None:
        self._policies = policies
        self._inspections = Inspections(policies)

    def apply(self, states: States, record: Record) -> Iterable[Emit]:
        progress = states.load(ACTIVITY_KEY, Progress) or Progress()
        emits: list[Emit] = []
        if isinstance(record.event, ProofAsk):
            emits += self._inspections.ask(states, progress.inspecting, record.event, progress.closed)
        elif isinstance(record.event, ActivityWatermark):
            progress.clock.caught_up(record.event)
        else:
            emits += self._take(states, progress, record.event, record.now)
        emits += self._close(states, progress, progress.clock.advance(), record.now)
        states.save(ACTIVITY_KEY, progress)
        return emits

    def flush(self, states: States) -> Iterable[Emit]:
        return ()

    def tick(self, states: States, tick: Tick) -> Iterable[Emit]:
        return ()

    def end(self, states: States, now: datetime) -> list[Emit]:
        """No more events come: judge every day that is over at the newest of them. For an ended history alone."""
        progress = states.load(ACTIVITY_KEY, Progress) or Progress()
        emits = list(self._close(states, progress, progress.clock.newest, now))
        states.save(ACTIVITY_KEY, progress)
        return emits

    def _take(self, states: States, progress: Progress, batch: ActivityBatch, now: datetime) -> Iterator[Emit]:
        progress.clock.seen(batch)
        offsets = progress.offsets.setdefault(batch.topic, {})
        taken = offsets.get(batch.partition, -1)
        offsets[batch.partition] = max(taken, last_offset(batch))
        for label, number in counted(batch, taken):
            for series in series_of(batch.topic, label):
                self._count(states, progress, label.day, series, number)
        for told in batch.told:
            if told.offset > taken:
                self._count(states, progress, told.day, f"rule:{told.detector}", 1)
        for refused in batch.missing:
            if refused.offset > taken:
                day = self._policies.latest.bank_calendar.day_of(refused.event_time)
                key = f"missing|{refused.currency}|{day}"
                missing = states.load(key, Missing) or Missing(refused.currency, day)
                missing.take(refused)
                yield from self._tell(missing_rate.observed(missing, self._policies), day, now)
                states.save(key, missing)
                progress.missing[key] = day
        for booking in batch.large:
            if booking.offset > taken:
                self._inspections.take(states, progress.inspecting, booking, progress.closed)

    def _count(self, states: States, progress: Progress, day: date, series: str, number: int) -> None:
        progress.start = min(day, progress.start or day)
        if progress.oldest is not None and day < progress.oldest:
            return  # no day that is still to be judged learns from it
        counts = states.load(str(day), Day) or Day()
        counts.add(series, number)
        states.save(str(day), counts)
        if day not in progress.days:
            insort(progress.days, day)

    def _close(self, states: States, progress: Progress, until: datetime | None, now: datetime) -> Iterator[Emit]:
        """Judge the days that are over at a time, each by its own figures."""
        if until is None or progress.start is None:
            return
        before = closed = progress.closed or progress.start - ONE_DAY
        while self._over(closed + ONE_DAY, until):
            closed += ONE_DAY
            yield from self._judge(states, progress, closed, now)
            for episode in self._inspections.drawn(states, progress.inspecting, closed):
                yield from self._tell(episode, closed, now)
            yield from self._inspections.answers(states, progress.inspecting, closed)
        if closed > before:
            progress.closed = closed
            self._forget(states, progress, closed)

    def _over(self, day: date, until: datetime) -> bool:
        policy = self._policies.on(day)
        grace = timedelta(hours=policy.detectors.silence.grace.whole)
        return until >= policy.bank_calendar.day_window(day)[1] + grace

    def _judge(self, states: States, progress: Progress, day: date, now: datetime) -> Iterator[Emit]:
        rule = self._policies.on(day).detectors.silence
        if rule.mode == "off" or progress.start is None or not progress.days or progress.days[0] >= day:
            return
        # Days before `oldest` are forgotten, not empty: a version that learns from more of them has to wait.
        start = max(progress.start, progress.oldest or progress.start)
        learned = same_kind_before(day, start, rule.learn.whole, self._policies)
        if len(learned) < rule.learn.whole:
            return
        usual = [_counts(states, progress, one) for one in learned]
        here = _counts(states, progress, day)
        for series in sorted(set().union(*usual)):
            if self._switched_off(series, day):
                continue
            judged = judge(here.get(series, 0), [counts.get(series, 0) for counts in usual], rule)
            if judged is None:
                continue
            key = f"run|{series}"
            before = states.load(key, Run)
            run = silence.continued(before, day, judged)
            if run is not None:
                working = works(day, self._policies)
                yield from self._tell(silence.observed(run, series, judged, working, self._policies), day, now)
                states.save(key, run)
            elif before is not None:
                states.delete(key)

    def _switched_off(self, series: str, day: date) -> bool:
        """Whether a series is that of a rule that is off: it has nothing to say."""
        kind, _, name = series.partition(":")
        rule: Rule | None = getattr(self._policies.on(day).detectors, name, None) if kind == "rule" else None
        return rule is not None and rule.mode == "off"

    def _tell(self, episode: Episode, day: date, now: datetime) -> Iterator[Emit]:
        """What is new about an episode, unless the day's policy has its rule off."""
        policy = self._policies.on(day)
        rule: Rule = getattr(policy.detectors, episode.detector)
        if rule.mode == "off":
            return
        time = episode.finding.event_time
        warning = tell(episode, rule, policy, self._policies.mutes, event_time=time, now=now, late=False)
        if warning is not None:
            yield from warning_emits(warning)

    def _forget(self, states: States, progress: Progress, closed: date) -> None:
        """Drop the days from which none that is still to be judged learns, and warnings that no longer change."""
        progress.oldest = self._oldest(progress, closed) or progress.oldest
        if progress.oldest is not None:
            while progress.days and progress.days[0] < progress.oldest:
                states.delete(str(progress.days.pop(0)))
        self._inspections.forget(states, progress.inspecting, closed)
        remember = timedelta(days=self._policies.longest(lambda one: one.episodes.remember.whole))
        for key in [key for key, day in progress.missing.items() if day < closed - remember]:
            del progress.missing[key]
            states.delete(key)

    def _oldest(self, progress: Progress, closed: date) -> date | None:
        """The first day from which one after `closed` may learn; None while there are too few of either kind."""
        number = self._policies.longest(lambda one: one.detectors.silence.learn.whole)
        left, day = {True: number, False: number}, closed + ONE_DAY
        while max(left.values()) > 0:
            day -= ONE_DAY
            if progress.start is None or day < progress.start:
                return None
            left[works(day, self._policies)] -= 1
        return day


def _counts(states: States, progress: Progress, day: date) -> dict[str, int]:
    kept = states.load(str(day), Day) if day in progress.days else None
    return kept.counts if kept is not None else {}
