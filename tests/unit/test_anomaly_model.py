"""Models: trained the same way twice, split by time, asked within a budget, and strict about what they score."""

import math
from datetime import date

import numpy as np
import polars as pl
import pytest
from msgspec.structs import replace
from sklearn.ensemble import IsolationForest

from models.anomaly.candidates import KINDS, Kind
from models.anomaly.forest import Forest
from models.anomaly.model import Model, Reference
from models.anomaly.training import Untrainable, customer_days, train
from tests.anomaly import NAMES, frame, model, strange

ORDINARY = frame().select(NAMES).to_numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_far_from_all_that_was_seen_is_strangest(kind: Kind) -> None:
    judge = model(kind)
    assert judge.score(strange())[0] > judge.score(ORDINARY).max()


@pytest.mark.parametrize("kind", KINDS)
def test_rows_score_alike_alone_and_together(kind: Kind) -> None:
    judge = model(kind)
    whole = judge.score(ORDINARY)
    assert [judge.score(ORDINARY[number : number + 1])[0] for number in range(50)] == whole[:50].tolist()
    assert judge.score(np.empty((0, len(NAMES)))).tolist() == []


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_row_with_a_value_that_is_no_number_is_refused(wrong: float) -> None:
    rows = ORDINARY[:3].copy()
    rows[1, 4] = wrong
    with pytest.raises(ValueError, match=r"row 1: tempo_hour is (nan|inf|-inf)"):
        model().score(rows)


def test_rows_of_other_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="18 features"):
        model().score(ORDINARY[:, :17])


@pytest.mark.parametrize("columns", [1.0, 0.5])
@pytest.mark.parametrize("samples", [2, 50, 256])
def test_the_flat_forest_gives_scikit_learns_scores(columns: float, samples: int) -> None:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(700, 18)).round(1)  # with values that are equal to a limit
    fitted = IsolationForest(n_estimators=30, max_samples=samples, max_features=columns, random_state=1).fit(rows)
    assert Forest(fitted, 18).score(rows) == pytest.approx(-fitted.score_samples(rows), abs=1e-12)


@pytest.mark.parametrize(
    ("array", "value"), [("children_left", 10**6), ("children_right", -5), ("feature", 18), ("children_left", 0)]
)
def test_a_tree_that_points_outside_of_itself_is_refused(array: str, value: int) -> None:
    fitted = IsolationForest(n_estimators=3, random_state=1).fit(ORDINARY)
    getattr(fitted.estimators_[1].tree_, array)[0] = value
    with pytest.raises(ValueError, match="outside of itself"):
        Forest(fitted, 18)


def test_the_days_are_split_by_time() -> None:
    card = model(days=20).card
    assert (card.fitted, card.validated) == (
        (date(2026, 3, 2), date(2026, 3, 17)),
        (date(2026, 3, 18), date(2026, 3, 21)),
    )
    assert (card.days, card.customer_days, card.rows, card.fitted_rows, card.customers) == (4, 160, 1600, 1280, 40)


def test_the_same_history_in_another_order_gives_the_same_card() -> None:
    rows = frame()
    shuffled = rows.sample(fraction=1, shuffle=True, seed=2)
    cards = [train(one, kind="hbos", seed=7, policy_version="cn-test").card for one in (rows, shuffled)]
    assert cards[0] == cards[1]
    changed = rows.with_columns(pl.col("roundness") + (pl.col("event_id") == "e7"))
    assert train(changed, kind="hbos", seed=7, policy_version="cn-test").card.data_hash != cards[0].data_hash


@pytest.mark.parametrize(("days", "customers"), [(9, 100), (20, 20)])
def test_a_history_that_is_too_short_is_refused(days: int, customers: int) -> None:
    with pytest.raises(Untrainable, match=r"a model needs 1,000 on at least 10 days"):
        train(frame(days, customers), kind="hbos", seed=7, policy_version="cn-test")


def test_a_history_with_a_gap_in_its_features_is_refused() -> None:
    rows = frame().with_columns(
        pl.when(pl.col("event_id") == "e3").then(None).otherwise("roundness").alias("roundness")
    )
    with pytest.raises(Untrainable, match="e3: roundness is nan"):
        train(rows, kind="hbos", seed=7, policy_version="cn-test")


def with_tail(*scores: float) -> Model:
    made = model("robust_z")
    return Model(made.pipeline, replace(made.card, days=4, customer_days=100, tail=scores))


@pytest.mark.parametrize(
    ("budget", "reached"),
    [
        (0.25, 1),  # one on four days
        (0.5, 2),
        (0.75, 2),  # the third and the fourth are equal: both would be one too many
        (1, 4),
        (1.25, 5),
        (0.1, 0),
    ],
)
def test_a_budget_is_never_passed_on_the_days_of_validation(budget: float, reached: int) -> None:
    tail = (9.0, 8.0, 7.0, 7.0, 6.0, 5.0)
    card = with_tail(*tail).card
    threshold = card.threshold(budget)
    assert sum(score >= threshold for score in tail) == reached
    assert card.quantile(budget) == pytest.approx(1 - reached / 100)


def test_a_budget_beyond_all_customers_warns_of_all() -> None:
    assert with_tail(3.0, 2.0).card.threshold(100) == 2.0


@pytest.mark.parametrize("budget", [0, -1, 200.5])
def test_a_budget_that_no_card_can_answer_is_refused(budget: float) -> None:
    with pytest.raises(ValueError, match="above 0 and at most 200"):
        with_tail(1.0).card.threshold(budget)


def test_a_customers_day_counts_once_with_its_highest_score() -> None:
    rows = pl.DataFrame({"customer_id": ["a", "a", "b"], "day": [date(2026, 3, 2)] * 3})
    assert customer_days(np.array([1.0, 3.0, 2.0]), rows).rows() == [
        ("a", date(2026, 3, 2), 3.0),
        ("b", date(2026, 3, 2), 2.0),
    ]


def test_a_value_on_an_edge_belongs_to_the_bin_above() -> None:
    reference = Reference(name="x", edges=(1.0, 2.0), counts=(1, 1, 1), low=0, median=1, high=2)
    assert reference.bins(np.array([0.9, 1.0, 1.5, 2.0, 9.0])).tolist() == [0, 1, 1, 2, 2]


def test_the_bins_of_a_feature_hold_all_rows_it_was_fitted_on() -> None:
    card = model().card
    assert [one.name for one in card.reference] == NAMES
    assert all(sum(one.counts) == card.fitted_rows and len(one.edges) == 9 for one in card.reference)
    assert sum(card.scores.counts) == 320  # two rows of 40 customers on 4 days


def test_a_model_of_other_features_is_refused() -> None:
    made = model("robust_z")
    for other in ({"feature_version": 2}, {"features": made.card.features[::-1]}):
        with pytest.raises(ValueError, match="train it anew"):
            Model(made.pipeline, replace(made.card, **other))
