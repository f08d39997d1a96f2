"""`liandong models learn` and `queue` on topics that a test keeps."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner, Result

from models.events import Transaction
from streams.cli import app
from streams.commands import feedback, keeping
from tests.data import ROOT
from tests.make import transaction
from tests.response import DAY, HOUR, MONDAY, Desk, action, warning

CUSTOMERS = 80


class Topics:
    """Stands in for the reader of topics."""

    def __init__(self) -> None:
        self.held: dict[str, list[Any]] = {"cases": [], "warnings": [], "transactions": []}

    def __call__(self, _: object) -> "Topics":
        return self

    def __enter__(self) -> "Topics":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def events(self, topic: str) -> Iterator[tuple[None, Any]]:
        return ((None, event) for event in self.held[topic])


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Topics:
    """Customers of whom every second sent a great deal, which was confirmed; the others' cases were dismissed.

    After them two are open: C900, who sent little, and then C901, who sent a great deal.
    """
    monkeypatch.setenv("KAFKA_BOOTSTRAP", "127.0.0.1:9")
    monkeypatch.setenv("LIANDONG_POLICY", str(ROOT / "deploy" / "policy" / "cn.toml"))
    monkeypatch.setenv("LIANDONG_MODELS", str(tmp_path))
    made, desk = Topics(), Desk()
    for number in (*range(CUSTOMERS), 900, 901):
        at, customer = MONDAY + (number % 5) * DAY, f"C{number}"
        great = number % 2 == 1
        made.held["transactions"].append(paid(customer, at, "480000" if great else "120"))
        told = warning(at, subject=f"customer:{customer}", warning_id=f"w{number}", detector="structuring")
        made.held["warnings"].append(told)
        desk.take(told)
        if number >= 900:
            continue
        deeds = ("acknowledge", "complete") if great else ("acknowledge", "dismiss", "approve")
        for step, kind in enumerate(deeds, 1):
            one = action(kind, at + step * HOUR, case_id=f"customer:{customer}#1", who=f"e{step}")
            desk.take(one)
    made.held["cases"] = list(desk.cases.values())
    monkeypatch.setattr(feedback, "TopicReader", made)
    monkeypatch.setattr("connectors.cases.TopicReader", made)
    monkeypatch.setattr(keeping, "with_broker", lambda settings: settings)
    monkeypatch.setattr(feedback, "in_use", lambda settings: (keeping.load_policies(settings.policy_path()), None))
    return made


def paid(customer: str, at: Any, amount: str) -> Transaction:
    return transaction(f"t-{customer}", at - timedelta(minutes=5), amount, customer_id=customer)


def ask(*args: str) -> Result:
    return CliRunner().invoke(app, ["models", *args])


def test_what_was_confirmed_before_is_looked_into_first(topics: Topics) -> None:
    plain = msgspec.json.decode(ask("queue", "--format", "json").stdout)["rows"]
    assert [one["case_id"] for one in plain] == ["customer:C900#1", "customer:C901#1"]
    learned = ask("learn", "--format", "json")
    assert learned.exit_code == 0, learned.output
    told = msgspec.json.decode(learned.stdout)
    assert (told["card"]["decided"], told["card"]["confirmed"]) == (CUSTOMERS, CUSTOMERS // 2)
    ranked = msgspec.json.decode(ask("queue", "--reranker", told["hash"][:8], "--format", "json").stdout)["rows"]
    assert [one["case_id"] for one in ranked] == ["customer:C901#1", "customer:C900#1"]
    assert float(ranked[0]["score"]) > 0 > float(ranked[1]["score"])


def test_too_few_decisions_are_said(topics: Topics) -> None:
    topics.held["cases"] = topics.held["cases"][:30]
    result = ask("learn")
    assert result.exit_code == 1
    assert "30 customers' days are decided, 15 of them confirmed: a re-ranker needs 50" in result.stderr


def test_an_empty_queue_says_so(topics: Topics) -> None:
    topics.held["cases"] = []
    assert "no open case on a customer" in ask("queue").stdout
