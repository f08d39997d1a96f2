"""A rule switched on or off on 10 March: whether a window is judged is said by the day that closes it."""

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from models.events import Counterparty, Transaction
from models.policy import Policy, PolicyHistory
from models.risk_warning import RiskWarning
from tests.make import at, transaction
from tests.rules import agreed, told

CASH = {"method": "cash"}
STRANGERS = [Counterparty(account_id=f"X{n}") for n in range(10)]
PAYERS = [
    transaction(f"in{n}", f"2026-03-08 {10 + n}:00", "20000", direction="in", counterparty=one)
    for n, one in enumerate(STRANGERS)
]
OUT = transaction("out", "2026-03-09 10:00", "160000", payee="BOSS")
# For each rule: events that fill a window closed by the 9th, one of the 10th that closes another with them.
BEFORE: dict[str, Sequence[Transaction]] = {
    "frequent_large_transfers": [
        transaction(f"e{day}", f"2026-03-{day} 10:00", "400000") for day in ("05", "06", "09")
    ],
    "structuring": [transaction(f"e{day}", f"2026-03-{day} 10:00", "40000", **CASH) for day in ("08", "09")],
    "scatter_gather": [*PAYERS, OUT],
    "dormant_reactivation": [
        transaction("since", "2025-01-10 10:00", "1"),
        transaction("wakes", "2026-03-09 10:00", "50000", **CASH),
    ],
}
THE_10TH = {
    "frequent_large_transfers": transaction("e10", "2026-03-10 10:00", "400000"),
    "structuring": transaction("e10", "2026-03-10 10:00", "40000", **CASH),
    "scatter_gather": transaction("e10", "2026-03-10 10:00", "1", payee="BOSS"),
    "dormant_reactivation": transaction("e10", "2026-03-10 10:00", "1", **CASH),
}


def switched(policy: Policy, name: str, *modes: str) -> PolicyHistory:
    """One mode before 10 March, another from then on; events may come ten days late."""
    versions = []
    for mode, valid_from in zip(modes, ("2020-01-01", "2026-03-10"), strict=True):
        rule: Any = replace(getattr(policy.detectors, name), mode=mode)
        head = replace(policy.policy, version=f"{mode} from {valid_from}", valid_from=at(f"{valid_from} 00:00"))
        lateness = replace(policy.events.lateness, value=policy.events.lateness.value + 7)
        events = replace(policy.events, lateness=lateness)
        detectors = replace(policy.detectors, **{name: rule})
        versions.append(replace(policy, policy=head, events=events, detectors=detectors))
    return PolicyHistory(*versions)


def in_any_order(policies: PolicyHistory, name: str, events: Sequence[Transaction]) -> list[RiskWarning]:
    """The warnings, which the oracle must give too, the same whichever event comes last."""
    expected = agreed(policies, name, events)
    for late in events:
        if late.event_id == "since":  # more than ten days old
            continue
        found = agreed(policies, name, [*(one for one in events if one is not late), late])
        assert told({one.warning_id: one for one in found}) == told({one.warning_id: one for one in expected})
    return expected


@pytest.mark.parametrize("name", BEFORE)
@pytest.mark.parametrize("mode", ["live", "shadow"])
def test_switched_off_a_rule_keeps_what_was_closed_before(policy: Policy, name: str, mode: str) -> None:
    policies = switched(policy, name, mode, "off")
    (one,) = in_any_order(policies, name, [*BEFORE[name], THE_10TH[name]])
    assert (one.window.end, one.mode) == (at("2026-03-10 00:00"), mode)
    assert one.policy_version == f"{mode} from 2020-01-01"


@pytest.mark.parametrize("name", BEFORE)
@pytest.mark.parametrize("mode", ["live", "shadow"])
def test_switched_on_a_rule_knows_what_was_before(policy: Policy, name: str, mode: str) -> None:
    policies = switched(policy, name, "off", mode)
    assert not in_any_order(policies, name, BEFORE[name])
    (one,) = in_any_order(policies, name, [*BEFORE[name], THE_10TH[name]])
    assert (one.window.end, one.mode) == (at("2026-03-11 00:00"), mode)
    assert one.policy_version == f"{mode} from 2026-03-10"
