"""The population stability index, by hand; and what it says of rows like those of training and of others."""

import math

import numpy as np
import pytest

from models.anomaly.drift import Counts, count, drifts, psi, stability
from tests.anomaly import NAMES, frame, model

CARD = model("hbos")


def test_the_index_by_hand() -> None:
    # Shares with half a row in each bin: 10.5/21 and 10.5/21 then, 15.5/21 and 5.5/21 now.
    old, some, few = 0.5, 15.5 / 21, 5.5 / 21
    expected = (some - old) * math.log(some / old) + (few - old) * math.log(few / old)
    assert psi([10, 10], [15, 5]) == pytest.approx(expected)
    assert psi([15, 5], [10, 10]) == pytest.approx(expected)  # it is the same both ways
    assert psi([10, 0], [10, 0]) == 0


@pytest.mark.parametrize(("then", "now"), [([1, 2], [1]), ([0, 0], [1, 1]), ([1, 1], [0, 0])])
def test_what_cannot_be_compared_is_refused(then: list[int], now: list[int]) -> None:
    with pytest.raises(ValueError, match=r"bins cannot be compared|rows on both sides"):
        psi(then, now)


def test_rows_like_those_of_training_are_stable() -> None:
    rows = frame(days=60, seed=99).select(NAMES).to_numpy()
    found = drifts(CARD.card, count(CARD, rows, CARD.score(rows)))
    assert [one.name for one in found] == [*NAMES, "score"]
    assert {one.stability for one in found[:-1]} == {"stable"}


def test_a_feature_that_moved_is_named_and_no_other() -> None:
    rows = frame(days=60, seed=99).select(NAMES).to_numpy().copy()
    rows[:, 3] += 1.0
    found = drifts(CARD.card, count(CARD, rows, CARD.score(rows)))
    assert [one.name for one in found if one.stability == "drifted"][:1] == [NAMES[3]]
    assert all(one.stability == "stable" for one in found[:-1] if one.name != NAMES[3])


def test_parts_add_up_to_the_whole() -> None:
    rows = frame().select(NAMES).to_numpy()
    scores = CARD.score(rows)
    whole, parts = count(CARD, rows, scores), Counts(refused=1)
    for some in (slice(0, 100), slice(100, 101), slice(101, len(rows))):
        parts.add(count(CARD, rows[some], scores[some]))
    parts.add(Counts(bins=[[0] * len(one) for one in whole.bins], refused=2))
    assert (parts.bins, parts.refused, parts.rows) == (whole.bins, 3, len(rows))
    assert np.array_equal([sum(one) for one in whole.bins], [len(rows)] * 19)


def test_no_rows_give_no_index() -> None:
    with pytest.raises(ValueError, match="rows on both sides"):
        drifts(CARD.card, Counts())


def test_the_two_limits() -> None:
    assert [stability(one) for one in (0.0999, 0.10, 0.25, 0.2501)] == ["stable", "shifting", "shifting", "drifted"]
