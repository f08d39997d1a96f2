"""The scripted day, played through the codec, the pure stages and the cases, and its printed account."""

import io
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from rich.console import Console

from connectors.account import render_account
from connectors.account_texts import Language
from connectors.codec import Undecodable, decode, encode
from connectors.sources.simulator import Script, Step, answer_of, differences, scripted_day
from models.dead_letter import DeadLetter
from models.messages import PortfolioEntry
from models.pipeline import LocalPipeline, MemoryStates
from models.policy import Policy, PolicyHistory, parse_policy
from models.response.case import Case
from models.risk_warning import RiskWarning
from models.stage import Emit, Record, Refused
from models.stages.cases import CasesStage

TEXT = (Path(__file__).parents[2] / "deploy/policy/cn.toml").read_text(encoding="utf-8")


class Outcome(NamedTuple):
    warnings: list[RiskWarning]
    cases: list[Case]
    dead_letters: list[DeadLetter]
    portfolio: list[PortfolioEntry]


def play(script: Script, policy: Policy) -> Outcome:
    """What a worker would make of the script's bytes, without a broker."""
    policies = PolicyHistory(policy)
    pipeline, stage, states = LocalPipeline(policies), CasesStage(policies), MemoryStates()
    outcome = Outcome([], [], [], [])

    def judge(topic: str, event: object, step: Step, offset: int) -> None:
        emits = list(stage.apply(states, Record(topic, 0, offset, step.at, event, step.at)))
        for one in [*emits, *stage.flush(states)]:
            if one.topic == "cases":
                outcome.cases.append(one.value)
            elif one.topic in ("suspensions", "reviews"):
                route(pipeline.feed(one.topic, one.value, step.at), step, offset)

    def route(emits: Iterable[Emit], step: Step, offset: int) -> None:
        for emit in emits:
            if emit.topic == "warnings":
                outcome.warnings.append(emit.value)
                judge("warnings", emit.value, step, offset)
            elif emit.topic == "proofs":
                judge("proofs", emit.value, step, offset)
            elif emit.topic == "portfolio":
                outcome.portfolio.append(emit.value)

    for offset, step in enumerate(script.steps):
        value = step.event if isinstance(step.event, bytes) else encode(step.topic, step.event)[0]
        try:
            event = decode(step.topic, step.key.encode(), value)
            if step.topic == "actions":
                judge(step.topic, event, step, offset)
            else:
                refusals = len(pipeline.refusals)
                route(pipeline.feed(step.topic, event), step, offset)
                assert len(pipeline.refusals) == refusals, pipeline.refusals[-1]
        except (Undecodable, Refused) as refused:
            letter = DeadLetter(
                dead_letter_id=f"{step.topic}/0/{offset}",
                source_topic=step.topic,
                source_partition=0,
                source_offset=offset,
                source_key=step.key,
                reason=refused.reason,
                field=refused.field,
                detail=refused.detail,
                raw=None,
                refused_at=step.at,
            )
            outcome.dead_letters.append(letter)
    return outcome


def with_figures(**changes: str) -> Policy:
    begins = TEXT.index("[heightened]")  # figures of the same names, which stay
    heightened = TEXT[begins : TEXT.index("[detectors.", begins)]
    text = TEXT.replace(heightened, "")
    for old, new in changes.items():
        before = f'{old} = {{ value = "' if f'{old} = {{ value = "' in text else f"{old} = {{ value = "
        # Several rules have a smallest book; the first is that of industry_concentration.
        assert text.count(before) == 1 or old == "minimum_book", old
        head, _, tail = text.partition(before)
        quoted = before.endswith('"')
        text = head + before + new + tail[tail.index('"' if quoted else ",") :]
    return parse_policy(f"{text}\n{heightened}")


@pytest.fixture(scope="module")
def policy() -> Policy:
    return parse_policy(TEXT)


@pytest.fixture(scope="module")
def script(policy: Policy) -> Script:
    return scripted_day(policy)


@pytest.fixture(scope="module")
def outcome(script: Script, policy: Policy) -> Outcome:
    return play(script, policy)


def test_the_day_goes_as_it_must(script: Script, outcome: Outcome) -> None:
    assert differences(script, outcome.warnings, outcome.cases, outcome.dead_letters) == []


def test_steps_come_in_order_and_the_day_is_the_same_every_time(script: Script, policy: Policy) -> None:
    assert script.day == date(2026, 3, 2)
    times = [step.at for step in script.steps]
    assert times == sorted(times)
    assert script == scripted_day(policy)
    begins = policy.bank_calendar.day_window(script.day)[0]
    for step in script.steps:
        assert step.history == (step.at < begins)
        if not isinstance(step.event, bytes):
            assert step.key == step.event.key
    told = [step for step in script.steps if step.note_en]
    assert all(step.note_zh for step in told)
    assert 20 <= len(told) < len(script.steps)


def test_the_customers_warnings_raise_each_other(outcome: Outcome) -> None:
    last = {(one.detector, one.subject): one for one in outcome.warnings}
    frequent = last["frequent_large_transfers", "customer:C-1042"]
    report = last["teller_report", "customer:C-1042"]
    codes = [reason.code for reason in frequent.reasons]
    assert codes == ["transfers_in_a_day", "high_risk_country", "new_payees", "corroborated"]
    assert frequent.severity == "critical"
    assert report.severity == "high"
    assert report.event_ids[1:] == frequent.event_ids


def test_the_book_passes_all_three_levels_one_by_one(outcome: Outcome) -> None:
    industry = [one for one in outcome.warnings if one.detector == "industry_concentration"]
    assert [one.severity for one in industry] == ["low", "high", "critical"]
    assert len({one.warning_id for one in industry}) == 1


def test_the_same_transfer_sent_twice_counts_once(script: Script, outcome: Outcome) -> None:
    (twice,) = script.expectations.duplicates
    sent = [step for step in script.steps if not isinstance(step.event, bytes) and step.event.event_id == twice]
    assert len(sent) == 2
    assert sent[0].event == sent[1].event
    frequent = [one for one in outcome.warnings if one.detector == "frequent_large_transfers"][-1]
    assert frequent.event_ids.count(twice) == 1
    assert frequent.event_count == 4


def test_credit_is_late_risk_never_answers_and_operations_is_in_time(outcome: Outcome) -> None:
    cases = {case.case_id: case for case in outcome.cases}
    credit = cases["industry:LIANDONG-BANK:K#1"].tasks[0]
    assert credit.acknowledged_at is not None
    assert credit.acknowledged_at > credit.acknowledge_due_at == credit.acknowledge_breached_at
    assert credit.state == "completed"
    assert all(measure.completed_at for measure in credit.measures)
    risk = cases["customer:C-1042#1"].task("risk")
    assert risk is not None
    assert (risk.state, risk.escalated_to[0]) == ("open", "linkage_office")
    operations = cases["customer:C-1042#1"].task("operations")
    assert operations is not None
    assert (operations.state, answer_of(operations)) == ("completed", "in_time")


def test_what_is_refused_names_the_field(outcome: Outcome) -> None:
    assert [(one.source_topic, one.reason, one.field) for one in outcome.dead_letters] == [
        ("transactions", "not_a_number", "amount"),
        ("actions", "no_task", "actor.department"),
        ("actions", "four_eyes", "actor.employee_id"),
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"a_day": "2", "large_from": "0.90"},
        {"observation": "0.12"},
        {"minimum_loans": "60", "minimum_book": "900000000"},
        {"new_after": "90", "consecutive_days": "4"},
        {"medium_from": "2", "high_from": "3"},
    ],
)
def test_other_figures_tell_the_same_story(changes: dict[str, str]) -> None:
    if "observation" in changes:
        policy = parse_policy(TEXT.replace('observation = { value = "0.15"', 'observation = { value = "0.12"'))
    else:
        policy = with_figures(**changes)
    script = scripted_day(policy)
    outcome = play(script, policy)
    assert differences(script, outcome.warnings, outcome.cases, outcome.dead_letters) == []


@pytest.mark.parametrize("day", [date(2026, 7, 3), date(2026, 10, 9), date(2025, 12, 31)])
def test_other_days_will_do(policy: Policy, day: date) -> None:
    script = scripted_day(policy, day)
    outcome = play(script, policy)
    assert differences(script, outcome.warnings, outcome.cases, outcome.dead_letters) == []


def test_a_closed_day_is_refused_with_the_next_open_one(policy: Policy) -> None:
    with pytest.raises(ValueError, match="2026-03-02"):
        scripted_day(policy, date(2026, 3, 1))


def test_every_kind_of_difference_is_told(script: Script, outcome: Outcome) -> None:
    def told(**changes: Any) -> str:
        changed = outcome._replace(**changes)
        return "\n".join(differences(script, changed.warnings, changed.cases, changed.dead_letters))

    lost = [one for one in outcome.warnings if one.detector != "teller_report"]
    assert told(warnings=[*lost]) == "missing warning: teller_report on customer:C-1042, high, to operations, risk"
    more = msgspec.structs.replace(outcome.warnings[0], warning_id="other", subject="customer:C-9")
    assert "unexpected warning: industry_concentration on customer:C-9" in told(warnings=[*outcome.warnings, more])
    twin = msgspec.structs.replace(outcome.warnings[-1], warning_id="twin")
    assert "two ids" in told(warnings=[*outcome.warnings, twin])
    assert "task of credit on industry:LIANDONG-BANK:K#1: missing" in told(
        cases=[one for one in outcome.cases if one.subject.startswith("customer")]
    )
    assert told(dead_letters=[]).count("not refused") == 3


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_account_tells_it_all_without_colours_where_there_is_no_terminal(
    script: Script, outcome: Outcome, policy: Policy, lang: Language
) -> None:
    target = io.StringIO()
    render_account(Console(file=target, width=100), script.steps, *outcome, policy=policy, lang=lang)
    text = target.getvalue()
    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines()) <= 100
    for needed in ("customer:C-1042", "industry:LIANDONG-BANK:K#1", "03-02 10:55", "720,000.00 CNY", "25.80%"):
        assert needed in text
    words = {
        "en": "What came in|[critical] frequent large transfers|late|never answered|linkage office|"
        "Suspend new approvals|not_a_number|high-risk",
        "zh": "收到了什么|[紧急] 频繁大额转账|逾期|未回应|联动办公室|暂停新增贷款审批|暂停期间审批|高风险国家",
    }
    for word in words[lang].split("|"):
        assert word in text


def test_the_account_of_nothing(policy: Policy) -> None:
    target = io.StringIO()
    render_account(Console(file=target, width=100), [], [], [], [], [], policy=policy)
    assert target.getvalue().count("nothing") == 4
    assert "nobody was late" in target.getvalue()


def test_texts_from_outside_steer_no_terminal_and_are_no_markup(outcome: Outcome, policy: Policy) -> None:
    bad = msgspec.structs.replace(outcome.dead_letters[0], detail="\x1b[2J[red]gone[/red]", field="[bold]")
    target = io.StringIO()
    render_account(Console(file=target, width=100), [], [], [], [bad], [], policy=policy)
    assert "\x1b" not in target.getvalue()
    assert "[red]gone[/red]" in target.getvalue()
    assert "[bold]" in target.getvalue()


def test_answers_come_when_what_they_answer_has_settled(script: Script) -> None:
    assert {step.topic for step in script.steps if step.settled} == {"actions"}
    assert script.ends_at - script.steps[0].at > timedelta(days=14)
