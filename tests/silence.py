"""Short ways to histories and figures of silence, for the tests of its query."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import polars as pl
from msgspec.structs import replace

from models import oracle
from models.events import PostReport, Transaction
from models.policy import Policy, PolicyHistory
from tests.make import at, transaction

NAME = "silence"
FIGURES = {"learn": "3", "low": "0.25", "high": "4", "minimum": "4", "grace": "6"}


def with_silence(policy: Policy, **fields: Any) -> Policy:
    """The policy with other figures (as text) or other fields of the rule."""
    rule = policy.detectors.silence
    for name, value in fields.items():
        rule = replace(rule, **{name: replace(getattr(rule, name), value=Decimal(value)) if name in FIGURES else value})
    return replace(policy, detectors=replace(policy.detectors, silence=rule))


def from_day(policy: Policy, day: str) -> Policy:
    return replace(policy, policy=replace(policy.policy, version=f"from {day}", valid_from=at(f"{day} 00:00")))


def alone(policy: Policy) -> Policy:
    """The policy without the rules about customers' transactions and loans, which are no concern of these tests.

    Structuring stays, as the rule of which something is expected; small amounts give it nothing to find.
    """
    rules = policy.detectors
    others = [name for name in rules.__struct_fields__ if name not in (NAME, "teller_report", "structuring")]
    return replace(
        policy, detectors=replace(rules, **{name: replace(getattr(rules, name), mode="off") for name in others})
    )


def moves(day: str, count: int, **fields: Any) -> list[Transaction]:
    """So many transactions of a day, each of a customer of its own, in branch B unless told otherwise."""
    values = {"branch_id": "B"} | fields
    name = "-".join(str(value) for value in values.values())
    return [
        transaction(
            f"{name}-{day}-{n}", at(f"{day} 09:00") + timedelta(seconds=n), "1", customer_id=f"{name}-{n}", **values
        )
        for n in range(count)
    ]


def rows_of(policies: Policy | PolicyHistory, events: Sequence[Any], told: Sequence[Any] = ()) -> list[dict[str, Any]]:
    history = PolicyHistory(policies) if isinstance(policies, Policy) else policies
    frames = {
        "transactions": oracle.from_events([one for one in events if isinstance(one, Transaction)]),
        "reports": oracle.from_events([one for one in events if isinstance(one, PostReport)]),
    }
    first = pl.DataFrame(told, schema={"detector": pl.String, "event_time": pl.Datetime("us", "UTC")}, orient="row")
    found = oracle.warnings(**frames, told=first if told else None, policies=history)
    return found.filter(pl.col("detector") == NAME).sort("subject", "anchor").to_dicts()
