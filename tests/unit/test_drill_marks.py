"""A drill is told to its departments, marked, and counts in none of the bank's figures."""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from msgspec.structs import replace

from connectors.settings import Settings
from connectors.sources import parse_mapping, read
from connectors.sources.report import concentration_report
from models import oracle
from models.activity.log import ActivityLog, counted, last_offset
from models.drill import in_drill
from models.events import LoanEvent, PostReport, Transaction
from models.oracle import kpi
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory
from models.response.filing import MEASURE, filing_lines
from models.response.happenings import Happenings
from models.response.indicators import indicators
from models.response.kpi import Key
from models.response.period import parse_period
from models.risk_warning import RiskWarning
from streams.commands.asked_book import read_loans
from streams.verify import _told as told_frame
from tests.activity import learning, seen
from tests.make import at, loan, report, transaction
from tests.response import HOUR, INDUSTRY, MONDAY, POLICY, SUBJECT, Desk, of_credit, on_industry, warning
from tests.silence import moves

DRILLED = in_drill("C1", "spring")
ENTITY = in_drill("BANK", "spring")


def run(policy: Policy, events: Sequence[Any]) -> list[RiskWarning]:
    pipeline = LocalPipeline(PolicyHistory(policy))
    topics: dict[Any, str] = {Transaction: "transactions", PostReport: "reports", LoanEvent: "loans"}
    emits = [emit for one in events for emit in pipeline.feed(topics[type(one)], one)] + pipeline.finish()
    return [emit.value for emit in emits if emit.topic == "warnings"]


# --- the mark ---


@pytest.mark.parametrize(("customer", "mode"), [("C1", "live"), (DRILLED, "drill")])
def test_a_warning_of_a_drill_is_marked_and_its_departments_get_their_copies(
    policies: PolicyHistory, customer: str, mode: str
) -> None:
    pipeline = LocalPipeline(policies)
    emits = pipeline.feed("transactions", transaction("e1", "2026-03-02 10:00", "600000", customer_id=customer))
    told = [(emit.topic, emit.value.mode) for emit in emits if emit.topic.startswith("warnings")]
    assert told == [("warnings", mode), ("warnings.operations", mode)]


def test_a_rule_that_is_tried_out_stays_so_in_a_drill(policy: Policy) -> None:
    rule = replace(policy.detectors.large_transaction, mode="shadow")
    policy = replace(policy, detectors=replace(policy.detectors, large_transaction=rule))
    pipeline = LocalPipeline(PolicyHistory(policy))
    emits = pipeline.feed("transactions", transaction("e1", "2026-03-02 10:00", "600000", customer_id=DRILLED))
    told = [(emit.topic, emit.value.mode) for emit in emits if emit.topic.startswith("warnings")]
    assert told == [("warnings", "shadow")]


# --- what it may put in force ---


@pytest.mark.parametrize(
    ("subject", "goes_out"), [(INDUSTRY, False), (f"industry:{ENTITY}:K", True), (f"borrower:{ENTITY}:B1", True)]
)
def test_a_drill_suspends_its_own_and_nothing_else(subject: str, goes_out: bool) -> None:
    desk = Desk()
    desk.take(on_industry(subject=subject, mode="drill"))
    desk.take(of_credit("start", 1, measure="suspend_approvals", case_id=f"{subject}#1"))
    assert not desk.refused
    assert len(desk.case(1, subject).suspensions) == 1
    assert list(desk.suspensions) == ([f"{subject}#1"] if goes_out else [])


# --- activity ---


def test_an_event_of_a_drill_counts_for_nothing_and_tells_no_time() -> None:
    log = ActivityLog()
    log.accepted(seen(5, transaction("a", "2026-03-02 09:00", "1", branch_id="0731")), date(2026, 3, 2))
    log.accepted(seen(6, transaction("b", "2026-03-09 09:00", "1", branch_id="0731", customer_id=DRILLED)), None)
    (batch,) = log.batches("transactions", 0)
    assert last_offset(batch) == 6
    assert sum(number for _, number in counted(batch, -1)) == 1
    assert batch.newest == at("2026-03-02 09:00")


def drilled(when: str, number: int = 1) -> list[Any]:
    """Large transactions of a drill at a real branch, and a report."""
    whose = {"customer_id": DRILLED, "branch_id": "B"}
    many = [transaction(f"d{when}-{n}", when, "600000", **whose) for n in range(number)]
    return [*many, report(f"dr{when}", when, customer_id=DRILLED)]


def without_drills(found: Sequence[RiskWarning]) -> list[tuple[str, str, datetime, tuple[str, ...]]]:
    return [
        (one.detector, one.subject, one.event_time, tuple(reason.observed for reason in one.reasons))
        for one in found
        if one.mode != "drill"
    ]


def test_drills_are_in_no_series_and_no_inspection_by_stream_and_oracle(policy: Policy) -> None:
    policy = learning(policy, learn=3, minimum=4)
    real: list[Any] = [one for day in ("2026-03-02", "2026-03-03", "2026-03-04") for one in moves(day, 8)]
    real += [*moves("2026-03-05", 1), *moves("2026-03-06", 8, branch_id="other")]  # Thursday falls off
    # They would make up for Thursday, be a burst on Friday, be drawn for March, and go on after the last real event.
    unreal = [*drilled("2026-03-05 11:00", 7), *drilled("2026-03-06 11:00", 90), *drilled("2026-04-12 11:00")]
    mixed = sorted([*real, *unreal], key=lambda one: one.event_time)
    alone, together = run(policy, real), run(policy, mixed)
    assert ("silence", "branch:B", at("2026-03-06 00:00"), ("1",)) in without_drills(alone)
    assert without_drills(together) == without_drills(alone)

    def asked(events: Sequence[Any], told: Sequence[RiskWarning]) -> list[tuple[Any, ...]]:
        frames = {
            name: oracle.from_events([one for one in events if isinstance(one, kind)])
            for name, kind in (("transactions", Transaction), ("reports", PostReport))
            if any(isinstance(one, kind) for one in events)
        }
        frame = oracle.warnings(**frames, told=told_frame(list(told)), policies=PolicyHistory(policy))
        rows = frame.filter(~pl.col("subject").str.contains("drill~")).sort("subject", "event_time")
        return rows.select("detector", "subject", "event_time", "observed").rows()

    assert asked(mixed, together) == asked(real, alone)
    assert len(asked(real, alone)) == len({(one.detector, one.subject) for one in alone})


def test_what_a_drill_sends_in_a_currency_without_a_rate_is_refused_and_not_told(policies: PolicyHistory) -> None:
    sent: list[Any] = [
        transaction("e1", "2026-03-02 10:00", "1", currency="AUD", customer_id=DRILLED),
        loan("l1", "2026-03-02 10:00", "1", currency="AUD", borrower_id=in_drill("E1", "spring")),
    ]
    assert run(policies.latest, sent) == []
    frames = {"transactions": oracle.from_events(sent[:1]), "loans": oracle.from_events(sent[1:])}
    assert oracle.warnings(**frames, policies=policies).height == 0
    assert oracle.refusals(**frames, policies=policies)["reason"].to_list() == ["no_rate", "no_rate"]
    real = [replace(sent[0], customer_id="C1"), replace(sent[1], borrower_id="E1")]
    assert {one.subject for one in run(policies.latest, real)} == {"currency:AUD"}


def test_a_rule_that_warns_in_a_drill_is_not_a_rule_that_warned() -> None:
    shadow = warning(subject=f"customer:{DRILLED}", mode="shadow", warning_id="w1")
    drill = warning(subject=f"customer:{DRILLED}", mode="drill", warning_id="w2")
    assert told_frame([shadow, drill, warning(warning_id="w3")]).height == 1


# --- figures ---


def test_drills_are_in_no_indicator_by_report_and_oracle() -> None:
    month, calendar = parse_period("2026-03"), POLICY.bank_calendar
    desk, told = Desk(), [warning(), warning(subject=f"customer:{DRILLED}", mode="drill", warning_id="w2")]
    desk.take(*told)
    desk.tick(MONDAY + 100 * HOUR)
    real: list[Any] = [
        transaction("e1", MONDAY, "10", branch_id="B1"),
        report("r1", MONDAY, kind="complaint"),
        loan("l1", MONDAY, "10"),
    ]
    unreal: list[Any] = [
        transaction("e2", MONDAY, "10", branch_id="B1", customer_id=DRILLED),
        report("r2", MONDAY, kind="complaint", customer_id=DRILLED),
        loan("l2", MONDAY, "10", entity=ENTITY, borrower_id=in_drill("E1", "spring")),
    ]
    happened = Happenings(desk.cases.values(), told, (month,), calendar)
    for event in (*real, *unreal):
        happened.take(event, MONDAY)
    figures = indicators(happened, month)
    assert figures[Key("complaints")].part == {"r1"}  # type: ignore[union-attr]
    assert figures[Key("complaints")].whole == 1  # type: ignore[union-attr]
    assert figures[Key("completion")].whole == {f"{SUBJECT}#1/operations"}  # type: ignore[union-attr]
    assert happened.loans[month] == {("BANK1", "L-l1")}

    def rows(structs: Sequence[Any], schema: dict[str, Any]) -> pl.DataFrame:
        return pl.DataFrame([msgspec.to_builtins(one, builtin_types=(datetime,)) for one in structs], schema=schema)

    cases = [msgspec.json.decode(msgspec.json.encode(one), type=type(one)) for one in desk.cases.values()]
    moved, filed, lent = (
        oracle.from_events([*both], ingest_times=[MONDAY] * 2) for both in zip(real, unreal, strict=True)
    )
    start, end = month.bounds(calendar)
    zone = calendar.config.timezone
    found = kpi.indicators(rows(cases, kpi.CASES), rows(told, kpi.TOLD), moved, filed, lent, start, end, zone)
    assert {Key(*key) for key in found.select("kpi", "by", "member").rows()} == set(figures)
    whole = dict(found.filter(pl.col("by") == "all").select("kpi", "count").rows())
    assert (whole["complaints"], whole["completion"]) == (1, 1)


def test_a_drill_is_not_to_be_filed() -> None:
    event = transaction("e1", MONDAY, "600000", customer_id=DRILLED)
    told = warning(subject=f"customer:{DRILLED}", mode="drill", detector="large_transaction", measures=(MEASURE,))
    assert list(filing_lines([told], {(DRILLED, "e1"): event}, [])) == []


# --- books ---

MAPPING = """
name = "book"
kind = "loans"
[fields]
event_id = "id"
event_time = "day"
entity = "entity"
loan_id = "id"
borrower_id = "id"
kind = { const = "disbursed" }
industry = "industry"
amount = "amount"
currency = { const = "CNY" }
"""
BOOK = f"""id,day,entity,industry,amount
1,2026-01-01,BANK1,K70,60.00
2,2026-01-01,BANK1,C13,40.00
3,2026-01-02,{ENTITY},K70,900.00
4,2026-01-02,{ENTITY},bad,x
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "book.csv").write_text(BOOK)
    (tmp_path / "book.toml").write_text(MAPPING)
    return tmp_path / "book.csv", tmp_path / "book.toml"


@pytest.mark.parametrize(("entity", "entities"), [(None, {"BANK1"}), ("BANK1", {"BANK1"}), (ENTITY, {"BANK1", ENTITY})])
def test_the_book_of_a_drill_is_read_only_by_its_name(
    files: tuple[Path, Path], policies: PolicyHistory, entity: str | None, entities: set[str]
) -> None:
    assert set(read_loans(*files, Settings(), policies, entity)["entity"]) == entities


def test_a_drill_concentrates_nothing(files: tuple[Path, Path]) -> None:
    found: Any = concentration_report(read(files[0], parse_mapping(MAPPING)), "industry")
    assert (found["total"], found["members"], found["hhi"]) == ("100.00", 2, 0.52)
    assert (found["rows"], found["accepted"], found["rejected"]) == (3, 2, 1)
