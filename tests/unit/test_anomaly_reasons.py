"""Reasons: the features named are those without which the score falls, and their numbers are the row's."""

import numpy as np
import pytest

from models.anomaly.features import FEATURES
from models.anomaly.model import Model
from models.anomaly.reasons import AGAINST_HABIT, MOST_REASONS, drivers, normal, reasons
from tests import anomaly

PLACES = {one.id: place for place, one in enumerate(FEATURES)}
KINDS = ("isolation_forest", "hbos", "robust_z")


def rows(count: int = 12) -> list[list[float]]:
    """Rows with two or three features out of the ordinary each."""
    rng = np.random.default_rng(11)
    made = rng.normal(size=(count, len(FEATURES)))
    for row in made:
        row[rng.choice(len(FEATURES), size=3, replace=False)] = rng.choice([-7.0, 6.0, 9.0], size=3)
    return [list(map(float, row)) for row in made]


@pytest.fixture(params=KINDS, scope="module")
def model(request: pytest.FixtureRequest) -> Model:
    return anomaly.model(request.param)


def test_each_named_feature_put_to_normal_lowers_the_score(model: Model) -> None:
    usual = normal(model)
    for row in rows():
        (score,) = model.score([row])
        named = drivers(model, row)
        assert named
        for feature, fall in named:
            changed = list(row)
            changed[PLACES[feature.id]] = float(usual[PLACES[feature.id]])
            (lower,) = model.score([changed])
            assert lower < score
            assert score - lower == pytest.approx(fall)


def test_the_others_put_to_normal_do_not(model: Model) -> None:
    usual = normal(model)
    for row in rows(4):
        (score,) = model.score([row])
        named = {feature.id for feature, _ in drivers(model, row)}
        for name, place in PLACES.items():
            if name not in named:
                changed = list(row)
                changed[place] = float(usual[place])
                assert model.score([changed])[0] >= score


def test_what_is_most_out_of_the_ordinary_comes_first() -> None:
    model = anomaly.model("hbos")
    row = [0.0] * len(FEATURES)
    row[PLACES["new_payees"]] = 9.0
    assert drivers(model, row)[0][0].id == "new_payees"


def test_the_reasons_say_the_score_and_each_feature_with_its_numbers(model: Model) -> None:
    for row in rows(4):
        (score,) = model.score([row])
        first, *others = reasons(model, row, float(score), 0.25, "c0ffee" * 10)
        assert (first.code, first.observed, first.threshold) == ("anomaly_score", f"{score:.4f}", "0.2500")
        assert "c0ffeec0" in first.text_en
        assert "c0ffeec0" in first.text_zh
        assert 1 <= len(others) <= MOST_REASONS
        for one in others:
            assert one.observed == f"{row[PLACES[one.code]]:.2f}"
            assert one.observed in one.text_zh
            assert one.observed in one.text_en
            assert one.threshold in one.text_en
            assert ("own normal" in one.text_en) == (one.code in AGAINST_HABIT)


def test_a_low_value_stands_beside_the_low_end_of_the_others() -> None:
    model = anomaly.model("robust_z")
    row = [0.0] * len(FEATURES)
    row[PLACES["balance_shift"]] = -8.0
    found = {one.code: one for one in reasons(model, row, 8.0, 1.0, "0" * 64)}
    assert float(found["balance_shift"].threshold) < 0
    assert "at least" in found["balance_shift"].text_en


def test_a_row_that_cannot_be_scored_has_no_reasons(model: Model) -> None:
    with pytest.raises(ValueError, match="is nan"):
        drivers(model, [float("nan")] * len(FEATURES))
