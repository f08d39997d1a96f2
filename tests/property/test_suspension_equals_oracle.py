"""Small histories of approvals and suspensions in any order that may come: the stream's warnings are the oracle's."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from models import oracle
from models.events import LoanEvent
from models.messages import Suspension, Suspensions
from models.pipeline import LocalPipeline, MemoryStates
from models.policy import Figure, Policy, PolicyHistory
from models.risk_warning import RiskWarning
from models.stage import Emit, Record, Refused
from models.stages.borrowers import BorrowersStage
from models.stages.portfolio import PortfolioStage
from streams.verify import suspension_frame
from tests.books import through_bytes
from tests.make import at, loan

NAME = "approval_during_suspension"
LATENESS = 72  # hours
PARTITIONS = 2
EPOCH = at("2026-03-02 00:00")
OTHER, SHADOW, OFF = (EPOCH.date() + timedelta(days=days) for days in (2, 4, 6))  # from when other figures hold
KINDS = ["approved"] * 8 + ["disbursed", "repaid", "applied"]
PARTS = ("industry", "K"), ("industry", "C"), ("real_estate", "total"), ("borrower", "B0"), ("group", "G1")
SUBJECTS = [
    *(f"{kind}:BANK{bank}:{part}" for bank in range(2) for kind, part in PARTS),
    *("real_estate:BANK0:development", "real_estate:BANK0:mortgage", "industry:BANK0:K70", "industry:BANK0:unknown"),
    "book:BANK0",
]

loans = st.lists(
    st.tuples(
        st.integers(0, 150),  # hour
        st.sampled_from([0, 0, 0, 0, 1, 10, 50, LATENESS, 150]),  # hours late
        st.sampled_from(KINDS),
        st.integers(0, 5),  # which loan
        st.sampled_from(["K70", "K70", "7010", " k", "C13", "98", ""]),
        st.sampled_from(["none", "none", "development", "mortgage"]),
        st.sampled_from([None, None, "G1", "G1", "G2"]),
        st.integers(0, 5),  # now and then sent twice
    ),
    min_size=10,
    max_size=40,
)
spans = st.lists(
    st.tuples(
        st.integers(0, 30),  # hours from the one before to its start
        st.one_of(st.none(), st.integers(1, 70)),  # hours that it lasts
        st.sampled_from([0, 1, 5, 30, LATENESS]),  # hours late
        st.sampled_from([0, 0, 1, 10]),  # hours by which an earlier start is found out
        st.sampled_from([0, 2]),  # before or behind the loans of that hour
        st.booleans(),  # by the next case
    ),
    min_size=1,
    max_size=4,
)
suspensions = st.dictionaries(st.sampled_from(SUBJECTS), spans, min_size=2, max_size=6)


class Arrival(NamedTuple):
    """When something comes, in hours, where in its hour, and what of its kind before it."""

    hour: int
    place: int
    number: int
    message: LoanEvent | Suspensions


@pytest.fixture(scope="module")
def policies(policy: Policy) -> PolicyHistory:
    """This rule alone, by other figures from `OTHER` on, in shadow from `SHADOW` on and off from `OFF` on."""
    detectors = policy.detectors
    others = [name for name in detectors.__struct_fields__ if name != NAME]
    detectors = replace(detectors, **{name: replace(getattr(detectors, name), mode="off") for name in others})
    rule, as_given = (
        detectors.approval_during_suspension,
        replace(detectors.industry_concentration, scheme="as_given"),
    )
    changed = replace(detectors, industry_concentration=as_given)
    figure = Figure(value=Decimal(LATENESS // 24), unit="", source="a test")

    def version(first: date, detectors: Any, **fields: Any) -> Policy:
        head = replace(policy.policy, version=f"from {first}", valid_from=at(f"{first} 00:00"))
        mine = replace(detectors, approval_during_suspension=replace(rule, **fields))
        return replace(policy, policy=head, events=replace(policy.events, lateness=figure), detectors=mine)

    return PolicyHistory(
        version(date(2026, 1, 1), detectors),
        version(OTHER, changed, severity="critical", departments=("it",)),
        version(SHADOW, detectors, mode="shadow"),
        version(OFF, detectors, mode="off"),
    )


def hour(number: int) -> datetime:
    return EPOCH + timedelta(hours=number)


def lent(found: list[tuple[Any, ...]]) -> list[Arrival]:
    arrivals = []
    for number, (happened, late, kind, name, industry, estate, group, oddity) in enumerate(found):
        fields: dict[str, Any] = {
            **{"loan_id": f"L{name}", "borrower_id": f"B{name % 3}", "entity": f"BANK{name % 2}", "kind": kind},
            **{"real_estate": estate, "group_id": group, "approver_id": None if oddity == 1 else "M3"},
            **{"currency": "AUD" if oddity == 2 and kind == "approved" else "CNY"},
        }
        event = loan(f"e{number:02d}", hour(happened), "1000", industry, **fields)
        arrivals += [Arrival(happened + late, 1, number, event)] * (1 + (oddity == 3))
    return arrivals


class Told:
    """What the cases of a subject say, message by message."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self.arrivals: list[Arrival] = []
        self._spans: dict[int, dict[int, Suspension]] = {}
        self._revisions: Counter[int] = Counter()
        self._last = (0, 0)

    def say(self, case: int, place: tuple[int, int], start: int, end: int | None) -> tuple[int, int]:
        """Say at a place (or at that of the message before, if it is behind) how long a span is."""
        self._last = max(self._last, place)
        self._revisions[case] += 1
        known = self._spans.setdefault(case, {})
        lifted: dict[str, Any] = {} if end is None else {"lifted_at": hour(end), "lifted_by": ("H1", "R2")}
        known[self._number] = Suspension(started_at=hour(start), started_by="H1", **lifted)
        message = Suspensions(
            case_id=f"{self.subject}#{case}",
            subject=self.subject,
            entity=self.subject.split(":")[1],
            revision=self._revisions[case],
            spans=tuple(known.values()),
        )
        self.arrivals.append(Arrival(*self._last, len(self.arrivals), message))
        return self._last

    def tell(self, found: list[tuple[Any, ...]]) -> list[Arrival]:
        """A span is told of no more than `LATENESS` late; it is lifted before anything of that hour is approved."""
        case, cursor = 1, 0
        for self._number, (gap, lasts, late, shift, place, next_case) in enumerate(found):
            case += next_case
            start = cursor + gap
            first = start + shift  # as it is told at first
            end = None if lasts is None else first + lasts
            closed = (end, 0) if end is not None else (10_000, 0)
            begun = max(self._last, (first + min(late, LATENESS - shift), place))
            if begun >= closed:  # start and lift in one batch
                self.say(case, begun, first, end)
            else:
                self.say(case, begun, first, None)
                again = (min(begun[0] + 1, start + LATENESS), place)
                if shift and again < closed:
                    self.say(case, again, start, None)
                    first = start
                if end is not None:
                    self.say(case, closed, first, end)
            if end is None:
                break
            cursor = end
        return self.arrivals


def arriving(found: list[tuple[Any, ...]], suspended: dict[str, list[tuple[Any, ...]]]) -> list[Any]:
    """Loan events and messages of suspensions in the order in which they come."""
    told = [one for subject, spans in suspended.items() for one in Told(subject).tell(spans)]
    return [one.message for one in sorted([*lent(found), *told], key=lambda one: one[:3])]


def expected(policies: PolicyHistory, records: Sequence[Any]) -> dict[str, tuple[Any, ...]]:
    messages = [one for one in records if isinstance(one, Suspensions)]
    events = [one for one in records if isinstance(one, LoanEvent)]
    found = oracle.warnings(loans=oracle.from_events(events), suspensions=suspension_frame(messages), policies=policies)
    names = ("subject", "anchor", "severity", "departments", "event_time", "window_end", "observed")
    rows = found.filter(pl.col("detector") == NAME).iter_rows(named=True)
    return {
        row["warning_id"]: tuple(tuple(row[name]) if name == "departments" else row[name] for name in names)
        for row in rows
    }


def told(warnings: dict[str, RiskWarning]) -> dict[str, tuple[Any, ...]]:
    return {
        key: (
            *(one.subject, *one.event_ids, one.severity, one.departments),
            *(one.event_time, one.window.end, one.reasons[0].observed),
        )
        for key, one in warnings.items()
        if one.detector == NAME
    }


@given(loans, suspensions, st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
@settings(max_examples=40, deadline=None)
def test_every_approval_of_a_suspended_subject_is_told(
    policies: PolicyHistory,
    found: list[tuple[Any, ...]],
    suspended: dict[str, list[tuple[Any, ...]]],
    restarts: set[int],
    resent: set[int],
) -> None:
    records = arriving(found, suspended)
    pipeline, said = LocalPipeline(policies), list[Suspensions]()
    for number, message in enumerate(records):
        if isinstance(message, LoanEvent):
            pipeline.feed("loans", message)
        else:
            said.append(message)
            pipeline.feed("suspensions", message)
        if number in restarts:
            pipeline.restart()
        if number in resent:  # as by a worker that died before it had noted how far it was
            for one in said[-4:]:
                pipeline.feed("suspensions", one)
    pipeline.finish()
    assert told(pipeline.warnings) == expected(policies, records)
    cases = {case.case_id: case for case in said}
    for warning in pipeline.warnings.values():
        assert warning.disproves is not None
        assert cases[warning.disproves].subject == warning.subject
        assert warning.event_count == 1


class Workers:
    """Two partitions of borrowers whose batches come late and twice to the portfolio, which forgets all but states."""

    def __init__(self, policies: PolicyHistory) -> None:
        self._policies = policies
        self._borrowers = BorrowersStage(policies, PARTITIONS)
        self._portfolio = PortfolioStage(policies)
        self._mine = {number: MemoryStates(number) for number in range(PARTITIONS)}
        self._books = MemoryStates()
        self._offset = 0
        self._batches: dict[int, list[Emit]] = {number: [] for number in range(PARTITIONS)}
        self.warnings: dict[str, RiskWarning] = {}

    def lend(self, event: LoanEvent) -> None:
        number, self._offset = sum(event.borrower_id.encode()) % PARTITIONS, self._offset + 1
        record = Record("loans", number, self._offset, event.event_time, event, event.event_time)
        try:
            self._borrowers.apply(self._mine[number], record)
        except Refused:
            return

    def deliver(self, *, twice: bool) -> None:
        """What has gathered so far, and with it once more what was delivered last."""
        for number, states in self._mine.items():
            batch = [emit for emit in self._borrowers.flush(states) if emit.topic == "portfolio.deltas"]
            for emit in [*(self._batches[number] if twice else []), *batch, *(batch if twice else [])]:
                self.show("portfolio.deltas", emit.value)
            self._batches[number] = batch
        if twice:
            self._books, self._portfolio = through_bytes(self._books), PortfolioStage(self._policies)

    def show(self, topic: str, message: Any) -> None:
        record = Record(topic, 0, 0, EPOCH, message, EPOCH)
        emits = [*self._portfolio.apply(self._books, record), *self._portfolio.flush(self._books)]
        self.warnings |= {emit.value.warning_id: emit.value for emit in emits if emit.topic == "warnings"}


@given(loans, suspensions, st.sets(st.integers(0, 60)), st.sets(st.integers(0, 60)))
@settings(max_examples=40, deadline=None)
def test_batches_and_partitions_do_not_matter(
    policies: PolicyHistory,
    found: list[tuple[Any, ...]],
    suspended: dict[str, list[tuple[Any, ...]]],
    batches: set[int],
    resent: set[int],
) -> None:
    """Approvals that come later than the suspensions around them are judged by these."""
    records = arriving(found, suspended)
    workers = Workers(policies)
    for number, message in enumerate(records):
        if isinstance(message, LoanEvent):
            workers.lend(message)
        else:
            workers.show("suspensions", msgspec.msgpack.decode(msgspec.msgpack.encode(message), type=Suspensions))
        if number in batches:
            workers.deliver(twice=number in resent)
    workers.deliver(twice=True)
    assert told(workers.warnings) == expected(policies, records)


def played(policies: PolicyHistory, records: Sequence[Any]) -> dict[str, tuple[Any, ...]]:
    """What the stream says, which the oracle must say too."""
    pipeline = LocalPipeline(policies)
    for one in records:
        pipeline.feed("loans" if isinstance(one, LoanEvent) else "suspensions", one)
        pipeline.restart()
    pipeline.finish()
    assert told(pipeline.warnings) == expected(policies, records)
    return told(pipeline.warnings)


def approved(event_id: str, when: int, borrower: str) -> LoanEvent:
    fields = {"kind": "approved", "borrower_id": borrower, "loan_id": f"L-{borrower}", "group_id": "G1"}
    return loan(event_id, hour(when), "1000", **fields)


def test_one_id_of_two_borrowers_is_two_approvals(policies: PolicyHistory) -> None:
    """An id names an event of its borrower, not of its entity."""
    approvals = [approved("e1", 1, borrower) for borrower in ("B0", "B1")]
    messages = []
    for borrower in ("B0", "B1"):
        said = Told(f"borrower:BANK1:{borrower}")
        messages += [one.message for one in said.tell([(1, None, 0, 0, 0, False)])]
    for records in ([*messages, *approvals], [*approvals, *messages]):
        assert len(played(policies, records)) == len(messages)


def test_an_approval_is_remembered_for_the_whole_lateness(policies: PolicyHistory) -> None:
    """The newest approval is as far ahead of one as an event may come late."""
    [start] = Told("group:BANK1:G1").tell([(1, None, LATENESS, 0, 2, False)])
    found = played(policies, [approved("e1", 1, "B0"), approved("e2", 1 + LATENESS, "B1"), start.message])
    assert sorted(row[1] for row in found.values()) == ["e1", "e2"]


def test_an_older_word_of_a_case_that_comes_again_changes_nothing(policies: PolicyHistory) -> None:
    begun, lifted = (one.message for one in Told("group:BANK1:G1").tell([(1, 4, 0, 0, 0, False)]))
    records = [begun, approved("e1", 1, "B0"), lifted, begun, approved("e2", 5, "B1"), lifted, approved("e3", 4, "B2")]
    assert sorted(row[1] for row in played(policies, records).values()) == ["e1", "e3"]
