"""Which model judges: versions that differ in their models alone, and two models beside each other."""

from datetime import date, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from typer.testing import CliRunner

from connectors.errors import LiandongError
from connectors.references import Loaded
from models.anomaly.promotion import compared
from models.policy import Policy, PolicyHistory, parse_policy
from streams.cli import app
from streams.commands import promotion
from streams.commands.promotion import Written, with_models
from tests.data import ROOT

TEXT = (ROOT / "deploy" / "policy" / "cn.toml").read_text("utf-8")
DAY = date(2026, 12, 1)
A, B = "a" * 64, "b" * 64
NAMES = ("anomaly", "anomaly_challenger")


def base(text: str = TEXT) -> Written:
    return Written(parse_policy(text.encode(), "test"), text)


def test_a_version_differs_in_its_models_and_its_head_alone() -> None:
    text = with_models(base(), (A, B), "cn-x", DAY, "ma", "wei")
    policy = parse_policy(text.encode(), "test")
    rule, head = policy.detectors.anomaly, policy.policy
    assert (rule.mode, rule.model, rule.challenger) == ("live", A, B)
    assert (head.version, head.proposed_by, head.approved_by) == ("cn-x", "ma", "wei")
    assert policy.bank_calendar.day_of(head.valid_from) == DAY
    before = base().policy
    assert replace(policy, policy=before.policy, detectors=before.detectors) == before
    assert replace(policy.detectors, anomaly=before.detectors.anomaly) == before.detectors
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        line for line in TEXT.splitlines() if line.startswith("#")
    ]


def test_models_are_taken_out_again() -> None:
    both = with_models(base(), (A, B), "cn-x", DAY, "ma", "wei")
    rule = parse_policy(with_models(base(both), (None, None), "cn-y", DAY, "ma", "wei").encode(), "test").detectors
    assert (rule.anomaly.mode, rule.anomaly.model, rule.anomaly.challenger) == ("live", None, None)


def test_a_policy_without_the_table_says_so() -> None:
    head, _, rest = TEXT.partition("[detectors.anomaly]")
    without = head + rest[rest.index("\n[") :]
    with pytest.raises(LiandongError, match=r"no \[detectors.anomaly\]"):
        with_models(base(without), (A, None), "cn-x", DAY, "ma", "wei")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('model = "abc"', "detectors.anomaly.model must be the 64 digits"),
        (f'model = "{A}"\nchallenger = "{A}"', "detectors.anomaly.challenger must be another"),
    ],
)
def test_models_that_no_version_may_name(change: str, said: str) -> None:
    text = TEXT.replace('[detectors.anomaly]\nmode = "off"', f'[detectors.anomaly]\nmode = "live"\n{change}')
    with pytest.raises(Exception, match=said):
        parse_policy(text.encode(), "test")


def version(policy: Policy, name: str, day: date, model: str | None) -> Policy:
    start = policy.bank_calendar.day_window(day)[0]
    rules = replace(policy.detectors, anomaly=replace(policy.detectors.anomaly, mode="live", model=model))
    return replace(policy, policy=replace(policy.policy, version=name, valid_from=start), detectors=rules)


def in_use(monkeypatch: pytest.MonkeyPatch, policies: PolicyHistory) -> None:
    """Let the commands find these versions, without a broker."""
    monkeypatch.setattr(promotion, "broker_settings", lambda: None)
    monkeypatch.setattr(promotion, "in_use", lambda settings: (policies, Loaded({}, [], [], {})))


@pytest.mark.parametrize(("began", "starts", "replaces"), [(-3, 0, None), (0, 0, "two"), (4, 4, "two")])
def test_a_rollback_holds_at_once_or_replaces_what_is_to_come(
    monkeypatch: pytest.MonkeyPatch, policy: Policy, began: int, starts: int, replaces: str | None
) -> None:
    day = promotion.today(policy)
    first = version(policy, "one", day - timedelta(days=30), A)
    second = version(policy, "two", day + timedelta(days=began), B)
    policies = PolicyHistory(first, second)
    proposed: list[Any] = []
    in_use(monkeypatch, policies)
    monkeypatch.setattr(promotion, "_held_on", lambda *arguments: Written(second, TEXT))
    monkeypatch.setattr(promotion, "propose_text", lambda *arguments: proposed.append(arguments))
    done = CliRunner().invoke(app, ["models", "rollback", "--as", "ma", "--approver", "wei"])
    assert done.exit_code == 0, done.output
    ((_, made, _, _, retroactive, _),) = proposed
    assert made.policy.replaces == replaces
    rule = made.detectors.anomaly
    assert (rule.model, rule.challenger, retroactive) == (A, B, True)
    assert made.bank_calendar.day_of(made.policy.valid_from) == day + timedelta(days=starts)
    policies.take(made)
    assert policies.on(day + timedelta(days=starts)).detectors.anomaly.model == A


def test_later_versions_that_keep_the_model_are_named(monkeypatch: pytest.MonkeyPatch, policy: Policy) -> None:
    day = promotion.today(policy)
    versions = [version(policy, name, day + timedelta(days=days), model) for name, days, model in
                (("one", -30, A), ("two", -3, B), ("three", 5, B))]  # fmt: skip
    in_use(monkeypatch, PolicyHistory(*versions))
    monkeypatch.setattr(promotion, "_held_on", lambda *arguments: Written(versions[1], TEXT))
    monkeypatch.setattr(promotion, "propose_text", lambda *arguments: None)
    done = CliRunner().invoke(app, ["models", "rollback", "--as", "ma", "--approver", "wei"])
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert f"three, which holds from {day + timedelta(days=5)}, names the model that is given up as well" in said
    assert f"liandong models promote aaaaaaaa --from {day + timedelta(days=5)}" in said


def test_there_is_nothing_to_go_back_to(monkeypatch: pytest.MonkeyPatch, policy: Policy) -> None:
    in_use(monkeypatch, PolicyHistory(policy))
    done = CliRunner().invoke(app, ["models", "rollback", "--as", "ma", "--approver", "wei"])
    assert done.exit_code != 0
    assert "no other model has judged before" in done.output


def test_two_models_beside_each_other() -> None:
    monday, tuesday = date(2026, 3, 2), date(2026, 3, 3)
    champion, challenger = NAMES
    standing = compared(
        [
            (champion, "customer:C1", monday, True),
            (champion, "customer:C2", monday, False),
            (champion, "customer:C1", tuesday, None),
            (challenger, "customer:C1", monday, None),
            (challenger, "customer:C9", tuesday, None),
            ("structuring", "customer:C9", tuesday, True),
            ("structuring", "customer:C2", monday, True),
            ("structuring", "customer:C7", monday, False),
        ],
        NAMES,
    )
    assert standing.found == {champion: 3, challenger: 2}
    assert (standing.both, standing.overlap) == (1, 0.25)
    assert standing.by_day[champion] == {monday: 2, tuesday: 1}
    # C2's Monday was worth its while by another rule; nobody knows of C1's Tuesday.
    assert standing.decided == {champion: {True: 2}, challenger: {True: 2}}
    assert standing.plain()["models"][champion]["by_day"] == {"2026-03-02": 2, "2026-03-03": 1}


def test_models_that_found_nothing_agree() -> None:
    standing = compared([], NAMES)
    assert (standing.overlap, standing.both, standing.found) == (1.0, 0, dict.fromkeys(NAMES, 0))


def test_a_first_day_after_the_last_is_refused(monkeypatch: pytest.MonkeyPatch, policy: Policy) -> None:
    in_use(monkeypatch, PolicyHistory(policy))
    done = CliRunner().invoke(app, ["models", "compare", "--since", "2026-03-02", "--until", "2026-03-01"])
    assert done.exit_code != 0
    assert "--since 2026-03-02 is after" in done.output
