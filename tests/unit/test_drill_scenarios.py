"""The drills' scenarios: by every shipped policy and at any hour they bring what they must, under their own names; and
what `liandong drill` says where no broker is needed."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from typer.testing import CliRunner, Result

from connectors.codec import Codec
from connectors.sources.simulator import topic_of
from connectors.sources.simulator.drills import DRILLS, check_name, expected, follow_up, play, scenario_of
from models.drill import drill_of
from models.events import LoanEvent
from models.messages import Suspension, Suspensions
from models.pipeline import LocalPipeline
from models.policy import Policy, PolicyHistory, parse_policy
from models.risk_warning import RiskWarning
from streams.cli import app
from tests.data import ROOT

# A working day, half a minute after a Saturday's midnight, and a day off at the turn of the year.
TIMES = ("2026-11-25 15:00", "2026-11-28 00:00:30", "2027-01-01 12:00")
MINUTE = timedelta(minutes=1)
SUBJECT = "industry:drill~spring~BANK:K"
LENT = DRILLS["industry_too_large"]


def shipped(name: str = "cn") -> Policy:
    return parse_policy((ROOT / "deploy" / "policy" / f"{name}.toml").read_bytes(), name)


def moment(policy: Policy, text: str = TIMES[0]) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=policy.bank_calendar.zone)


def judged(policy: Policy, *events: Any) -> list[RiskWarning]:
    """The first revision of each warning."""
    pipeline = LocalPipeline(PolicyHistory(policy))
    emits = [emit for one in events for emit in pipeline.feed(topic_of(one), one)] + pipeline.finish()
    assert pipeline.refusals == []
    return [emit.value for emit in emits if emit.topic == "warnings" and emit.value.revision == 1]


@pytest.mark.parametrize("name", ["cn", "eu", "us"])
@pytest.mark.parametrize("text", TIMES)
@pytest.mark.parametrize("scenario", DRILLS)
def test_what_must_come_comes_at_the_last_event(name: str, text: str, scenario: str) -> None:
    policy = shipped(name)
    now, script = moment(policy, text), DRILLS[scenario]
    events = play(script, "spring", policy, now)
    assert events[-1].event_time == now  # type: ignore[union-attr]
    found = judged(policy, *events)
    assert {one.mode for one in found} == {"drill"}
    wanted = expected(script, "spring", policy)
    assert len(wanted) == len(script.sees)
    for one in wanted:
        (warning,) = [told for told in found if (told.detector, told.subject) == (one.detector, one.subject)]
        assert warning.event_time == now
        assert (warning.departments, warning.measures) == (one.departments, one.measures)


@pytest.mark.parametrize("scenario", DRILLS)
def test_every_name_is_the_drills_own_and_every_event_is_one_on_the_wire(scenario: str) -> None:
    policy, codec = shipped(), Codec()
    events = play(DRILLS[scenario], "spring", policy, moment(policy))
    assert len({one.event_id for one in events}) == len(events)
    for event in events:
        value, headers = codec.encode(topic_of(event), event)
        assert codec.decode(topic_of(event), event.key.encode(), value, headers) == event
        fields = msgspec.to_builtins(event)
        whose = fields | fields.pop("reporter", {})
        names = [name for key, name in whose.items() if key.endswith("_id") or key == "entity"]
        names += whose.get("transaction_ids", ())
        assert {drill_of(name) for name in names} == {"spring"}, names
        assert scenario_of(event.event_id) == scenario


def test_the_same_name_gives_the_same_drill_and_another_one_other_people() -> None:
    policy, script = shipped(), DRILLS["linked_teller_and_machine"]
    one, same, other = (play(script, name, policy, moment(policy)) for name in ("a", "a", "b"))
    assert one == same
    assert not {event.event_id for event in one} & {event.event_id for event in other}


@pytest.mark.parametrize("name", ["", "~", "a~b", "a b", "-a", "a#1", "a:b", "x" * 41, "a|b"])
def test_a_name_that_could_not_be_told_from_the_rest_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name for a drill"):
        play(DRILLS["system_fault"], name, shipped(), moment(shipped()))


@pytest.mark.parametrize("name", ["spring", "2026-Q4.2", "x" * 40, "7"])
def test_names(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("mode", ["shadow", "off"])
def test_only_live_rules_must_warn(mode: str) -> None:
    policy = shipped()
    rule = replace(policy.detectors.teller_report, mode=mode)
    policy = replace(policy, detectors=replace(policy.detectors, teller_report=rule))
    script = DRILLS["linked_teller_and_machine"]
    assert [one.detector for one in expected(script, "spring", policy)] == ["frequent_large_transfers"]


def lent(policy: Policy) -> tuple[LoanEvent, ...]:
    return tuple(one for one in play(LENT, "spring", policy, moment(policy)) if isinstance(one, LoanEvent))


@pytest.mark.parametrize("suspended", [True, False])
def test_an_approval_follows_which_is_a_breach_only_where_approvals_are_suspended(suspended: bool) -> None:
    policy = shipped()
    pipeline, events = LocalPipeline(PolicyHistory(policy)), lent(policy)
    for event in events:
        pipeline.feed("loans", event)
    if suspended:
        span = Suspension(started_at=moment(policy) + MINUTE, started_by="chen")
        entity = "drill~spring~BANK"
        message = Suspensions(case_id=f"{SUBJECT}#1", subject=SUBJECT, entity=entity, revision=1, spans=(span,))
        pipeline.feed("suspensions", message)
    for one in follow_up(LENT, "spring", policy, moment(policy) + 2 * MINUTE, events):
        pipeline.feed("loans", one)
    pipeline.finish()
    assert pipeline.refusals == []
    found = [one for one in pipeline.warnings.values() if one.detector == "approval_during_suspension"]
    assert [(one.subject, one.mode) for one in found] == ([(SUBJECT, "drill")] if suspended else [])


def test_what_follows_reviews_every_loan_of_the_industry_after_it_was_lent() -> None:
    policy = shipped()
    events, now = lent(policy), moment(policy) + 2 * MINUTE
    then: Any = follow_up(LENT, "spring", policy, now, events)
    granted = [one.loan_id for one in events if one.borrower_id == "drill~spring~E-K"]
    assert len(granted) == 7
    assert [one.loan_id for one in then if one.kind == "reviewed"] == granted
    assert [one.kind for one in then[7:]] == ["reclassified", "approved"]
    assert all(events[-1].event_time < one.event_time <= now for one in then)
    assert not {one.event_id for one in then} & {one.event_id for one in events}
    again = follow_up(LENT, "spring", policy, now + MINUTE, [*events, *then])
    assert not {one.event_id for one in again} & {one.event_id for one in then}


def test_nothing_follows_where_nothing_was_lent_and_where_a_scenario_has_one_act() -> None:
    policy = shipped()
    assert follow_up(LENT, "spring", policy, moment(policy), ()) == ()
    assert follow_up(DRILLS["system_fault"], "spring", policy, moment(policy), ()) == ()


# --- the command ---


@pytest.fixture
def _no_broker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    monkeypatch.setenv("LIANDONG_DATA_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("LIANDONG_POLICY", str(ROOT / "deploy" / "policy" / "cn.toml"))


def run(*args: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["drill", *args])
    assert result.exit_code == code, result.output
    return result


@pytest.mark.usefixtures("_no_broker")
def test_the_list_says_what_each_scenario_teaches_and_asks_of_whom() -> None:
    rows = {row["scenario"]: row for row in msgspec.json.decode(run("--list", "--format", "json").stdout)["rows"]}
    assert rows.keys() == DRILLS.keys()
    assert [one["asks"] for one in rows["system_fault"]["must_come"]] == [{"it": ["restore_system"]}]
    frequent = rows["linked_teller_and_machine"]["must_come"][0]
    assert (frequent["detector"], frequent["asks"]["risk"]) == ("frequent_large_transfers", [])
    assert "suspend_approvals" in rows["industry_too_large"]["must_come"][0]["asks"]["credit"]
    assert all(row["teaches"]["zh"] and row["teaches"]["en"] for row in rows.values())
    chinese = run("--list", "-l", "zh").stdout
    assert "科技部: 排除系统故障、恢复服务" in chinese
    assert "风险部: 完成" in chinese


@pytest.mark.usefixtures("_no_broker")
@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "name one scenario, or one of --list, --score NAME, --next NAME"),
        (("system_fault", "--list"), "name one scenario, or one of"),
        (("--score", "a", "--next", "a"), "name one scenario, or one of"),
        (("--list", "--name", "a"), "--name is for a scenario"),
        (("system_fault", "--at", "2026-03-02"), "--at is for --score"),
        (("system_falt",), "did you mean system_fault?"),
        (("system_fault",), "no broker"),
    ],
)
def test_what_does_not_go_together_is_refused_with_the_remedy(args: tuple[str, ...], said: str) -> None:
    assert said in run(*args, code=1).stderr
