"""scatter_gather while a block of days spans two versions: as grave as either says, told by the last closing day's."""

from itertools import permutations
from typing import Any

import pytest
from msgspec.structs import replace

from models import oracle
from models.events import Counterparty, Transaction
from models.policy import Policy, PolicyHistory
from tests.make import at, transaction
from tests.rules import agreed

NAME = "scatter_gather"
STRANGERS = [Counterparty(account_id=f"X{n}") for n in range(10)]
PAYERS: list[Transaction] = [
    transaction(f"in{n}", f"2026-03-08 {10 + n}:00", "20000", direction="in", counterparty=one)
    for n, one in enumerate(STRANGERS)
]
OUT = transaction("out", "2026-03-09 10:00", "160000", payee="BOSS")
AFTER = transaction("after", "2026-03-10 10:00", "1", payee="BOSS")


def version(policy: Policy, valid_from: str, **fields: Any) -> Policy:
    rule = replace(policy.detectors.scatter_gather, **fields)
    head = replace(policy.policy, version=f"from {valid_from}", valid_from=at(f"{valid_from} 00:00"))
    return replace(policy, policy=head, detectors=replace(policy.detectors, scatter_gather=rule))


@pytest.mark.parametrize(("before", "after", "severity"), [("high", "low", "high"), ("low", "high", "high")])
def test_a_block_that_spans_two_versions(policy: Policy, before: Any, after: Any, severity: str) -> None:
    first = version(policy, "2020-01-01", severity=before, departments=("operations",))
    policies = PolicyHistory(first, version(policy, "2026-03-10", severity=after, departments=("credit",)))
    for tail in permutations([PAYERS[9], OUT, AFTER]):
        events = [*PAYERS[:9], *tail]
        (one,) = agreed(policies, NAME, events)
        assert (one.severity, one.departments, one.window.end) == (severity, ("credit",), at("2026-03-11 00:00"))
        told = oracle.warnings(transactions=oracle.from_events(events), policies=policies)
        (departments,) = told.filter(told["detector"] == NAME)["departments"].to_list()
        assert departments == ["credit"]
