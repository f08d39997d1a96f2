"""Decisions as labels, the queue as rows, and a re-ranker that puts first what was confirmed before."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace

from connectors.model_file import BadModel, load_file, load_model, load_reranker, save_model, to_bytes
from models.anomaly.feedback import COLUMNS, Reranker, decisions, learn, queue_frame
from models.anomaly.training import Untrainable
from tests.anomaly import NAMES, frame, model
from tests.response import HOUR, INDUSTRY, MONDAY, Desk, action, on_industry, warning


def worked(*kinds: str, at: int = 1) -> list[object]:
    """Actions of operations, an hour after one another."""
    return [action(kind, MONDAY + (at + n) * HOUR, who=f"e{n}") for n, kind in enumerate(kinds)]


def test_a_case_worked_through_confirms_its_warnings() -> None:
    desk = Desk()
    desk.take(warning(warning_id="w1"), warning(warning_id="w2", detector="structuring"))
    desk.take(*worked("acknowledge", "complete"))
    found = decisions(desk.cases.values())
    assert [(one.warning_id, one.customer_id, one.detector, one.confirmed) for one in found] == [
        ("w1", "C42", "teller_report", True),
        ("w2", "C42", "structuring", True),
    ]
    assert {one.decided_at for one in found} == {MONDAY + 2 * HOUR}


def test_a_case_dismissed_by_two_is_a_false_alarm() -> None:
    desk = Desk()
    desk.take(warning(), *worked("acknowledge", "dismiss", "approve"))
    assert [one.confirmed for one in decisions(desk.cases.values())] == [False]


def test_what_is_open_a_drill_or_no_customer_decides_nothing() -> None:
    desk = Desk()
    desk.take(warning(), on_industry(warning_id="w2"), warning(warning_id="w3", subject="customer:C9", mode="drill"))
    desk.take(*worked("acknowledge"))
    desk.take(*(replace(one, case_id="customer:C9#1") for one in worked("acknowledge", "complete")))  # type: ignore[type-var]
    credit = [action(kind, MONDAY + HOUR, case_id=f"{INDUSTRY}#1", department="credit") for kind in ("start",)]
    desk.take(*credit)
    assert decisions(desk.cases.values()) == []


def test_the_queue_has_a_row_for_each_customers_day() -> None:
    day = date(2026, 3, 2)
    told = pl.DataFrame(
        [
            ("C1", day, "structuring", 1),
            ("C1", day, "anomaly", 2),
            ("C1", day + timedelta(days=1), "anomaly", 1),
            ("C9", day, "teller_report", 3),
        ],
        schema=["customer_id", "day", "detector", "rank"],
        orient="row",
    )
    rows = frame()
    queue = queue_frame(told, rows)
    assert queue.select("customer_id", "day", "rank", "warnings", "anomaly", "structuring", "teller_report").rows() == [
        ("C1", day, 2.0, 2.0, 1.0, 1.0, 0.0),
        ("C9", day, 3.0, 1.0, 0.0, 0.0, 1.0),
        ("C1", day + timedelta(days=1), 1.0, 1.0, 1.0, 0.0, 0.0),
    ]
    own = rows.filter(pl.col("customer_id") == "C1", pl.col("day") == day)
    assert queue.select(NAMES).row(0) == own.select(pl.col(NAMES).max()).row(0)


def test_a_report_on_a_day_without_transactions_is_queued_as_nothing_unusual() -> None:
    told = pl.DataFrame(
        [("X", date(2026, 3, 2), "teller_report", 1)], schema=["customer_id", "day", "detector", "rank"], orient="row"
    )
    assert queue_frame(told, frame()).select(NAMES).row(0) == (0.0,) * len(NAMES)


def decided(count: int = 300, seed: int = 3) -> pl.DataFrame:
    """Days that are confirmed where two features are high together, else not."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(count, len(COLUMNS)))
    queue = pl.DataFrame(values, schema=list(COLUMNS)).with_columns(
        pl.Series("customer_id", [f"C{n}" for n in range(count)]),
        pl.Series("day", [date(2026, 3, 2) + timedelta(days=n % 30) for n in range(count)]),
    )
    return queue.with_columns(((pl.col("tempo_day") > 0) & (pl.col("pass_through") > 0)).alias("confirmed"))


def test_what_was_confirmed_before_comes_first() -> None:
    ranker, new = learn(decided(), seed=7), decided(seed=4)
    ranks, confirmed = ranker.rank(new), new["confirmed"].to_numpy()
    top = np.argsort(-ranks)[: int(confirmed.sum())]
    assert confirmed[top].mean() > 0.85 > confirmed.mean()
    assert ranker.rank(new.clear()).tolist() == []


def test_a_reranker_comes_back_from_its_file_and_judges_nothing(tmp_path: Path) -> None:
    made = learn(decided(), seed=7)
    assert to_bytes(made) == to_bytes(learn(decided().sample(fraction=1, shuffle=True, seed=1), seed=7))
    name = save_model(made, tmp_path).stem
    found, queue = load_reranker(name, tmp_path), decided(seed=4)
    assert found.card == made.card
    assert np.array_equal(found.rank(queue), made.rank(queue))
    assert isinstance(load_file(name, tmp_path), Reranker)
    with pytest.raises(BadModel, match="is a re-ranker"):
        load_model(name, tmp_path)
    with pytest.raises(BadModel, match="orders no queue"):
        load_reranker(save_model(model("robust_z"), tmp_path).stem, tmp_path)


@pytest.mark.parametrize(("count", "confirmed"), [(49, 20), (60, 9), (60, 51)])
def test_too_few_decisions_are_said(count: int, confirmed: int) -> None:
    queue = decided(count).with_columns(pl.Series("confirmed", [n < confirmed for n in range(count)]))
    with pytest.raises(Untrainable, match="a re-ranker needs 50, with at least 10 confirmed and as many dismissed"):
        learn(queue, seed=7)


def test_a_tree_that_points_outside_of_itself_is_refused() -> None:
    made = learn(decided(), seed=7)
    made.pipeline.named_steps["rank"].estimators_[5, 0].tree_.children_left[0] = 10**6
    with pytest.raises(ValueError, match="outside of itself"):
        Reranker(made.pipeline, made.card)
