"""Approvals where nothing may be approved: the instants themselves, each subject, late suspensions, what is kept."""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from models.credit.approval_during_suspension import covers
from models.events import CapitalPosition, LoanEvent
from models.messages import LoanDelta, LoanDeltas, Suspension, Suspensions
from models.pipeline import END_OF_TIME, LocalPipeline, MemoryStates
from models.policy import PolicyHistory
from models.reference import Mute
from models.risk_warning import RiskWarning, warning_id
from models.stage import Record, Refused
from models.stages.portfolio import PortfolioStage
from models.stages.portfolio.approvals import Remembered, approval_key
from models.stages.portfolio.states import EntityState
from tests.books import altered, capital, merged, through_bytes
from tests.make import at, loan

NAME = "approval_during_suspension"
RULE = f"detectors.{NAME}"
INDUSTRY = "industry:BANK1:K"
START, LIFT = at("2026-03-02 10:00"), at("2026-03-03 10:00")
TICK = timedelta(microseconds=1)
LATENESS = timedelta(days=3)  # of the shipped policy


def approved(event_id: str, when: str | datetime, **fields: Any) -> LoanEvent:
    """¥100 to a developer in the industry K, approved by M3, unless told otherwise."""
    values: dict[str, Any] = {"kind": "approved", "approver_id": "M3", "borrower_id": "B7", "loan_id": f"L-{event_id}"}
    return loan(event_id, when, fields.pop("amount", "100"), **(values | fields))


def span(start: datetime = START, lift: datetime | None = None) -> Suspension:
    by = ("H1", "R2") if lift is not None else ()
    return Suspension(started_at=start, started_by="H1", lifted_at=lift, lifted_by=by)


def suspended(*spans: Suspension, subject: str = INDUSTRY, revision: int = 1, case: int = 1) -> Suspensions:
    return Suspensions(
        case_id=f"{subject}#{case}",
        subject=subject,
        entity=subject.split(":")[1],
        revision=revision,
        spans=spans or (span(),),
    )


def fed(pipeline: LocalPipeline, records: Sequence[Any]) -> None:
    for one in records:
        topic = "loans" if isinstance(one, LoanEvent) else "suspensions" if isinstance(one, Suspensions) else "capital"
        pipeline.feed(topic, one)
        pipeline.restart()
    assert not pipeline.refusals


def run(policies: PolicyHistory, *records: Any) -> list[RiskWarning]:
    """The rule's warnings by event and subject, with a restart after each record."""
    pipeline = LocalPipeline(policies)
    fed(pipeline, records)
    found = [one for one in pipeline.warnings.values() if one.detector == NAME]
    return sorted(found, key=lambda one: (one.event_ids, one.subject))


def ids(found: list[RiskWarning]) -> list[str]:
    return [event_id for one in found for event_id in one.event_ids]


# --- which instants ---


@pytest.mark.parametrize(
    ("when", "governed"),
    [
        (START - TICK, False),
        (START, True),
        (START + TICK, True),
        (LIFT - TICK, True),
        (LIFT, False),
        (LIFT + TICK, False),
    ],
)
@pytest.mark.parametrize("first", ["approval", "suspension"])
def test_from_the_start_included_to_the_lift_not_included(
    policies: PolicyHistory, when: datetime, governed: bool, first: str
) -> None:
    records = [approved("a", when), suspended(span(lift=LIFT))]
    found = run(policies, *(records if first == "approval" else reversed(records)))
    assert ids(found) == (["a"] if governed else [])
    assert [one.late for one in found] == ([first == "approval"] if governed else [])


def test_one_that_is_in_force_has_no_end(policies: PolicyHistory) -> None:
    later = START + timedelta(days=400)
    assert covers(span(), later)
    assert ids(run(policies, suspended(), approved("a", START - TICK), approved("b", START), approved("c", later))) == [
        "b",
        "c",
    ]


def test_a_lift_then_a_new_span(policies: PolicyHistory) -> None:
    again = LIFT + timedelta(days=1)
    spans = span(lift=LIFT), span(again)
    times = {"a": LIFT - TICK, "b": LIFT, "c": again - TICK, "d": again}
    found = run(policies, suspended(*spans), *(approved(name, when) for name, when in times.items()))
    assert ids(found) == ["a", "d"]
    assert [one.reasons[0].threshold for one in found] == ["2026-03-02T10:00:00+08:00", "2026-03-04T10:00:00+08:00"]


# --- what is said ---


def test_what_a_warning_says(policies: PolicyHistory) -> None:
    (found,) = run(policies, suspended(), approved("a", "2026-03-02 11:30", amount="1234567.80"))
    assert found.warning_id == warning_id(NAME, 1, INDUSTRY, "a")
    assert (found.revision, found.severity, found.mode, found.late, found.notify) == (1, "high", "live", False, True)
    assert (found.subject, found.departments, found.measures) == (INDUSTRY, ("credit", "risk"), ("suspend_approvals",))
    assert (found.event_ids, found.event_count, found.event_time) == (("a",), 1, at("2026-03-02 11:30"))
    assert (found.window.start, found.window.end) == policies.latest.bank_calendar.day_window(found.event_time.date())
    assert found.disproves == f"{INDUSTRY}#1"
    (reason,) = found.reasons
    assert (reason.code, reason.unit) == ("approved_while_suspended", "time")
    assert (reason.observed, reason.threshold) == ("2026-03-02T11:30:00+08:00", "2026-03-02T10:00:00+08:00")
    assert reason.text_en == (
        "Loan L-a of 1234567.80 CNY to the borrower B7 was approved by employee M3 at 2026-03-02T11:30:00+08:00, "
        "although case industry:BANK1:K#1 suspended new approvals for the industry Real estate from "
        "2026-03-02T10:00:00+08:00 on."
    )
    assert reason.text_zh == (
        "借款人B7的贷款L-a（1234567.80 CNY）于2026-03-02T11:30:00+08:00由员工M3批准，"
        "而案件industry:BANK1:K#1自2026-03-02T10:00:00+08:00起已暂停房地产业贷款的新增审批。"
    )


def test_no_approver_is_named(policies: PolicyHistory) -> None:
    (found,) = run(policies, suspended(), approved("a", START, approver_id=None, currency="USD", amount="5"))
    assert "Loan L-a of 5 USD to the borrower B7 was approved (no approver is named) at" in found.reasons[0].text_en
    assert "获批准（未注明批准人）" in found.reasons[0].text_zh


@pytest.mark.parametrize(
    ("subject", "fields", "name_zh", "name_en"),
    [
        ("borrower:BANK1:B:7", {"borrower_id": "B:7"}, "借款人B:7", "the borrower B:7"),
        ("group:BANK1:G1", {"group_id": "G1"}, "集团G1", "the group G1"),
        ("real_estate:BANK1:total", {"real_estate": "development"}, "房地产贷款", "real estate loans"),
        ("real_estate:BANK1:total", {"real_estate": "mortgage"}, "房地产贷款", "real estate loans"),
        (
            "real_estate:BANK1:development",
            {"real_estate": "development"},
            "房地产开发贷款",
            "real estate development loans",
        ),
        ("real_estate:BANK1:mortgage", {"real_estate": "mortgage"}, "个人住房贷款", "residential mortgages"),
    ],
)
def test_each_subject(
    policies: PolicyHistory, subject: str, fields: dict[str, Any], name_zh: str, name_en: str
) -> None:
    other = approved("b", START, borrower_id="B8", group_id="G2")
    for records in (
        [suspended(subject=subject), approved("a", START, **fields), other],
        [approved("a", START, **fields), other, suspended(subject=subject)],
    ):
        (found,) = run(policies, *records)
        assert (found.subject, found.event_ids) == (subject, ("a",))
        assert f"new approvals for {name_en} from" in found.reasons[0].text_en
        assert f"暂停{name_zh}的新增审批" in found.reasons[0].text_zh


def test_an_approval_in_two_suspended_subjects_gives_two(policies: PolicyHistory) -> None:
    one = approved("a", START, group_id="G1")
    records = [suspended(subject="group:BANK1:G1"), one, suspended(), suspended(subject="borrower:BANK1:B7")]
    assert [(found.subject, found.late) for found in run(policies, *records)] == [
        ("borrower:BANK1:B7", True),
        ("group:BANK1:G1", False),
        (INDUSTRY, True),
    ]


def test_neither_other_industries_nor_other_steps(policies: PolicyHistory) -> None:
    other = approved("c", START, industry="C13")
    unknown = approved("u", START, industry="")
    applied, lent = approved("p", START, kind="applied"), approved("d", START, kind="disbursed")
    assert not run(policies, suspended(), suspended(subject="industry:BANK1:unknown"), other, unknown, applied, lent)


def test_entities_are_apart(policies: PolicyHistory) -> None:
    mine, other = approved("a", START), approved("b", START, entity="BANK2", borrower_id="B7")
    assert ids(run(policies, mine, other, suspended(subject="borrower:BANK2:B7"))) == ["b"]
    assert ids(run(policies, suspended(subject="borrower:BANK1:B7"), mine, other)) == ["a"]


# --- what comes late, twice or in another order ---


def test_an_earlier_start_judges_again_what_it_governs(policies: PolicyHistory) -> None:
    """What was told keeps the start that it was told with."""
    early, told = approved("a", START - timedelta(hours=1)), approved("b", START)
    earlier = suspended(span(START - timedelta(hours=1)), revision=2)
    found = run(policies, early, suspended(), told, earlier)
    assert [(one.event_ids, one.late, one.revision, one.reasons[0].threshold) for one in found] == [
        (("a",), True, 1, "2026-03-02T09:00:00+08:00"),
        (("b",), False, 1, "2026-03-02T10:00:00+08:00"),
    ]


def test_a_lift_that_comes_late_takes_nothing_back(policies: PolicyHistory) -> None:
    lifted = suspended(span(lift=LIFT), revision=2)
    pipeline = LocalPipeline(policies)
    fed(pipeline, [suspended(), approved("a", LIFT)])
    before = dict(pipeline.warnings)
    assert [one.event_ids for one in before.values()] == [("a",)]
    fed(pipeline, [lifted, approved("b", LIFT)])
    assert pipeline.warnings == before


def test_an_older_revision_changes_nothing(policies: PolicyHistory) -> None:
    lifted = suspended(span(lift=LIFT), revision=2)
    for again in (suspended(), suspended(revision=2)):
        assert not run(policies, lifted, again, approved("a", LIFT))
        assert not run(policies, approved("a", LIFT), lifted, again)


def test_of_two_cases_the_one_that_began_first_is_named(policies: PolicyHistory) -> None:
    second = suspended(span(LIFT), case=2)
    first = suspended(span(lift=LIFT), case=1)
    found = run(policies, second, first, approved("a", LIFT - TICK), approved("b", LIFT))
    assert [one.disproves for one in found] == [f"{INDUSTRY}#1", f"{INDUSTRY}#2"]
    longer = suspended(span(lift=LIFT + TICK), case=1)
    (found_both,) = run(policies, second, longer, approved("b", LIFT))
    assert found_both.disproves == f"{INDUSTRY}#1"


class Portfolio:
    """The stage with what it is shown, and a restart after each."""

    def __init__(self, policies: PolicyHistory) -> None:
        self.policies, self.states, self.stage = policies, MemoryStates(), PortfolioStage(policies)

    def show(self, message: Any) -> list[RiskWarning]:
        topic = "suspensions" if isinstance(message, Suspensions) else "portfolio.deltas"
        emits = list(self.stage.apply(self.states, Record(topic, 0, 0, END_OF_TIME, message, END_OF_TIME)))
        emits += self.stage.flush(self.states)
        self.states, self.stage = through_bytes(self.states), PortfolioStage(self.policies)
        return [one.value for one in emits if one.topic == "warnings"]

    @property
    def remembered(self) -> list[str]:
        found = [one.approval.event_id for one in self.states.values.values() if isinstance(one, Remembered)]
        return sorted(found)


def batch(policies: PolicyHistory, *events: LoanEvent, first: int = 0, entity: str = "BANK1") -> LoanDeltas:
    """What a loans partition says of approvals, with offsets from `first` on."""
    pipeline = LocalPipeline(policies)
    said = [emit.value for event in events for emit in pipeline.feed("loans", event)]
    approvals = [one for message in said if isinstance(message, LoanDeltas) for one in message.approvals]
    assert len(approvals) == len(events)
    numbered = tuple(replace(one, offset=first + number) for number, one in enumerate(approvals))
    return LoanDeltas(entity=entity, loans_partition=0, deltas=(), approvals=numbered)


def test_what_is_sent_twice_counts_once(policies: PolicyHistory) -> None:
    portfolio = Portfolio(policies)
    assert not portfolio.show(batch(policies, approved("a", START)))
    assert ids(portfolio.show(suspended())) == ["a"]
    assert not portfolio.show(suspended())
    assert not portfolio.show(suspended(revision=2))
    two = batch(policies, approved("a", START), approved("b", START))
    assert ids(portfolio.show(two)) == ["b"]
    assert not portfolio.show(two)


def test_one_id_of_two_borrowers_is_two_approvals(policies: PolicyHistory) -> None:
    portfolio = Portfolio(policies)
    portfolio.show(batch(policies, approved("a", START), approved("a", START, borrower_id="B8", loan_id="L2")))
    assert [one.subject for one in portfolio.show(suspended(subject="borrower:BANK1:B8"))] == ["borrower:BANK1:B8"]
    assert [one.subject for one in portfolio.show(suspended(subject="borrower:BANK1:B7"))] == ["borrower:BANK1:B7"]


def test_changes_of_the_book_and_approvals_share_their_offsets(policies: PolicyHistory) -> None:
    """A batch may have either alone, or both; of both the higher offset is the last taken."""
    portfolio = Portfolio(policies)
    portfolio.show(suspended())
    change = LoanDelta(
        offset=4, event_id="d", event_time=START, ingest_time=START, member="C", amount=Decimal(7), loans=1
    )
    both = replace(batch(policies, approved("a", START), approved("b", START), first=2), deltas=(change,))
    assert ids(portfolio.show(both)) == ["a", "b"]
    assert not portfolio.show(batch(policies, approved("c", START), first=4))
    assert ids(portfolio.show(batch(policies, approved("e", START), first=5))) == ["e"]
    for number in (4, 5, 6):
        portfolio.show(LoanDeltas(entity="BANK1", loans_partition=0, deltas=(replace(change, offset=number),)))
    state = portfolio.states.load("BANK1", EntityState)
    assert state is not None
    assert (state.offsets, len(state.pending)) == ({0: 6}, 2)
    other = replace(batch(policies, approved("f", START)), loans_partition=1)
    assert ids(portfolio.show(other)) == ["f"]


# --- what is forgotten ---


def test_approvals_are_forgotten_behind_the_lateness(policies: PolicyHistory) -> None:
    """One exactly as old as the lateness is still known."""
    portfolio = Portfolio(policies)
    newest = START + LATENESS
    times = {"a": START - TICK, "b": START, "c": START + TICK}
    portfolio.show(batch(policies, *(approved(name, when, borrower_id=name) for name, when in times.items())))
    assert portfolio.remembered == ["a", "b", "c"]
    other = approved("o", newest + LATENESS, entity="BANK2", borrower_id="o")
    portfolio.show(batch(policies, other, entity="BANK2"))
    assert portfolio.remembered == ["a", "b", "c", "o"]
    portfolio.show(batch(policies, approved("d", newest, borrower_id="d"), first=3))
    assert portfolio.remembered == ["b", "c", "d", "o"]
    # An approval of another borrower that comes now and is older still is judged all the same, and not kept.
    assert not portfolio.show(batch(policies, approved("e", START - TICK, borrower_id="e"), first=4))
    assert portfolio.remembered == ["b", "c", "d", "o"]
    assert ids(portfolio.show(suspended(span(START - LATENESS)))) == ["b", "c", "d"]
    assert ids(portfolio.show(batch(policies, approved("f", START - TICK, borrower_id="f"), first=5))) == ["f"]
    assert portfolio.remembered == ["b", "c", "d", "o"]


def test_a_forgotten_approval_leaves_no_state(policies: PolicyHistory) -> None:
    portfolio = Portfolio(policies)
    for number in range(30):
        one = approved(f"a{number}", START + number * LATENESS, borrower_id=f"B{number}")
        portfolio.show(batch(policies, one, first=number))
    assert portfolio.remembered == ["a28", "a29"]
    assert len(portfolio.states.values) == 3


def test_keys_tell_names_apart(policies: PolicyHistory) -> None:
    names = [("1|B", "C", "d"), ("1", "B|C", "d"), ("1", "B", "C|d"), ("1|B|C", "d", "e")]
    keys = set()
    for entity, borrower, event_id in names:
        one = batch(policies, approved(event_id, START, borrower_id=borrower)).approvals[0]
        keys.add(approval_key(entity, one))
    assert len(keys) == len(names)
    assert all(key.startswith("~approval|") for key in keys)


def test_an_entity_called_like_the_stages_own_keys_is_refused(policies: PolicyHistory) -> None:
    stage, message = PortfolioStage(policies), suspended(subject="borrower:~approval|1:B")
    with pytest.raises(Refused) as refused:
        stage.apply(MemoryStates(), Record("suspensions", 0, 0, END_OF_TIME, message, END_OF_TIME))
    assert refused.value.reason == "reserved"


def test_a_suspension_looks_at_no_more_approvals_than_it_may_govern(policies: PolicyHistory) -> None:
    loads: list[str] = []

    class Counting(MemoryStates):
        def load(self, key: str, kind: Any) -> Any:
            loads.append(key)
            return super().load(key, kind)

    stage, states = PortfolioStage(policies), Counting()
    many = [approved(f"a{n:03d}", START - timedelta(minutes=300 - n), borrower_id=f"B{n}") for n in range(300)]
    for message in (batch(policies, *many, approved("x", START)), suspended(span(START, START + TICK))):
        loads.clear()
        list(stage.apply(states, Record("", 0, 0, END_OF_TIME, message, END_OF_TIME)))
    assert len(loads) <= 3  # what the case said before, the approval, and what the case says now


# --- modes and mutes ---


@pytest.mark.parametrize("first", ["approval", "suspension"])
def test_modes(first: str) -> None:
    records = [approved("a", START), suspended()]
    records = records if first == "approval" else records[::-1]
    assert not run(PolicyHistory(altered("cn.toml", (RULE, 'mode = "live"', 'mode = "off"'))), *records)
    (shadow,) = run(PolicyHistory(altered("cn.toml", (RULE, 'mode = "live"', 'mode = "shadow"'))), *records)
    assert (shadow.mode, shadow.event_ids) == ("shadow", ("a",))


def test_severity_is_the_rules(policies: PolicyHistory) -> None:
    policies = PolicyHistory(altered("cn.toml", (RULE, 'severity = "high"', 'severity = "critical"')))
    assert [one.severity for one in run(policies, suspended(), approved("a", START))] == ["critical"]


def test_a_mute_holds_the_departments_copies_back() -> None:
    policies = PolicyHistory(altered("cn.toml"))
    mute = Mute(
        mute_id="m1",
        subject=INDUSTRY,
        detector=NAME,
        starts_at=at("2026-03-01 00:00"),
        ends_at=at("2026-04-01 00:00"),
        up_to="high",
        reason="agreed with the supervisor",
        proposed_by="E1",
        proposed_at=at("2026-03-01 00:00"),
        approved_by="E2",
        approved_at=at("2026-03-01 00:00"),
    )
    policies.take(mute)
    (found,) = run(policies, suspended(), approved("a", START))
    assert (found.muted_by, found.notify) == ("m1", False)


# --- partitions ---


@pytest.mark.parametrize("partitions", [1, 3, 8])
def test_any_number_of_partitions_gives_the_same(policies: PolicyHistory, partitions: int) -> None:
    """Approvals among other steps of two days, and suspensions that come anywhere among them, with restarts."""
    dice = random.Random(5)  # noqa: S311 - a test's dice
    records: list[Any] = [capital("4000000", "3200000")]
    for number in range(240):
        borrower = number * 7 % 40
        fields: dict[str, Any] = {
            "borrower_id": f"B{borrower}",
            "group_id": f"G{borrower % 6}",
            "loan_id": f"L{number}",
        }
        kind, industry = dice.choice(["approved", "approved", "disbursed"]), dice.choice(["K70", "C13", "J66"])
        estate = dice.choice(["none", "development"])
        when = START + timedelta(minutes=12 * number)
        records.append(loan(f"e{number:03d}", when, "60000", industry, kind=kind, real_estate=estate, **fields))
    day = timedelta(hours=24)
    again = span(START + 1.5 * day)
    for message in (
        suspended(span(START + timedelta(hours=3), START + day)),
        suspended(span(START + timedelta(hours=3), START + day), again, revision=2),
        suspended(subject="group:BANK1:G3"),
        suspended(span(START + day), subject="real_estate:BANK1:total"),
        suspended(span(START + day), subject="borrower:BANK1:B14", case=4),
        suspended(span(START - day, START + timedelta(hours=12)), subject="borrower:BANK1:B14", case=3),
    ):
        records.insert(dice.randrange(len(records)), message)
    # Revisions of one case come in their order.
    firsts = [place for place, one in enumerate(records) if isinstance(one, Suspensions) and one.subject == INDUSTRY]
    records[firsts[0]], records[firsts[1]] = sorted((records[n] for n in firsts), key=lambda one: one.revision)

    expected = merged(policies, records, 1, 0)
    governed = {one.warning_id for one in expected.warnings.values() if one.detector == NAME}
    assert governed == {
        warning_id(NAME, 1, message.subject, event.event_id)
        for event in records
        if not isinstance(event, Suspensions | CapitalPosition) and event.kind == "approved"
        for message in records
        if isinstance(message, Suspensions) and any(covers(one, event.event_time) for one in message.spans)
        if message.subject
        in (
            f"industry:BANK1:{event.industry[:1]}",
            f"group:BANK1:{event.group_id}",
            f"borrower:BANK1:{event.borrower_id}",
            f"real_estate:BANK1:{'total' if event.real_estate != 'none' else ''}",
        )
    }
    assert len(governed) > 100
    for seed in range(3):
        found = merged(policies, records, partitions, seed, restarts=True)
        assert found.told() == expected.told()
        assert found.book() == expected.book()
