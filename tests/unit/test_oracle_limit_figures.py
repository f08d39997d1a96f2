"""The integers that the oracle holds limits against: lines at their figure, and how far a book may move below them."""

import random
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from msgspec.structs import replace

from models.oracle.exposures import Exposures
from models.oracle.limit_figures import Days, Figures
from models.policy import Figure, LevelFigures, Limit, Policy, PolicyHistory
from models.reference import Rate


def figure(value: str) -> Figure:
    return Figure(value=Decimal(value), unit="", source="a test")


def figures(policy: Policy, op: Any, release: str = "0.02", allowance: str | None = None) -> Figures:
    """0.10, 0.20 and 0.30 of the book."""
    levels = LevelFigures(observation=figure("0.10"), warning=figure("0.20"), control=figure("0.30"))
    given = figure(allowance) if allowance is not None else None
    limit = Limit(basis="book", op=op, figures=levels, allowance=given, growth=figure("0.5"))
    rule = replace(policy.detectors.real_estate_concentration, total=limit, release=figure(release))
    policy = replace(policy, detectors=replace(policy.detectors, real_estate_concentration=rule))
    (found,) = Days(PolicyHistory(policy), "real_estate_concentration", ["total"], 100).limits("total")
    return found


@pytest.mark.parametrize(
    ("op", "basis", "reached", "kept"),
    [
        (">=", 1000, [100, 200, 300], [98, 196, 294]),
        (">", 1000, [101, 201, 301], [98, 196, 294]),
        (">=", 1001, [101, 201, 301], [99, 197, 295]),
        (">", 1001, [101, 201, 301], [99, 197, 295]),
        (">=", Fraction(2001, 2), [101, 201, 301], [99, 197, 295]),
    ],
)
def test_lines_are_the_smallest_exposures(policy: Policy, op: str, basis: Any, reached: Any, kept: Any) -> None:
    lines = figures(policy, op).lines(basis)
    assert ([line.reached for line in lines], [line.kept for line in lines]) == (reached, kept)


def test_the_allowance_moves_control_alone_and_growth_is_a_ratio(policy: Policy) -> None:
    found = figures(policy, ">=", allowance="0.025")
    assert [line.reached for line in found.lines(1000)] == [100, 200, 325]
    assert found.growth == (3, 2)


@pytest.mark.parametrize("op", [">=", ">"])
def test_within_its_bounds_no_book_moves_a_level(policy: Policy, op: str) -> None:
    found = figures(policy, op)
    for exposure in (1, 97, 100, 101, 250, 999):
        for level in range(4):
            above, up_to = found.unmoved(level, exposure)
            for basis in range(1, 12_000, 7):
                lines = found.lines(basis)
                rises = level < 3 and exposure >= lines[level].reached
                leaves = level > 0 and exposure < lines[level - 1].kept
                assert (above < basis <= up_to) == (not rises and not leaves)


def test_days_of_the_same_figures_are_one_whatever_rates_hold(policy: Policy) -> None:
    rates = [Rate(currency="USD", as_of=date(2026, 3, day), rate=Decimal(day), source="a test") for day in (2, 3)]
    days = Days(PolicyHistory(policy, rates=rates), "name_concentration", ["single"], 100)
    assert days.on(date(2026, 3, 1)) is days.on(date(2026, 3, 4)) is not None


@pytest.mark.parametrize("seed", range(5))
def test_exposures_answer_as_all_names_put_in_order_would(seed: int) -> None:
    dice, exposures, plain = random.Random(seed), Exposures(), dict[str, int]()  # noqa: S311 - a test's dice
    for turn in range(3000):
        name = f"n{dice.randrange(400)}"
        held = plain.get(name, 0)
        amount = -dice.choice((held, held // 2)) if held and dice.random() < 0.4 else dice.choice((9, 50, 700, 9000))
        assert exposures.add(name, amount) == held + amount
        plain[name] = held + amount
        ordered = sorted((amount, name) for name, amount in plain.items() if amount)
        assert (exposures[name], len(exposures)) == (plain[name], len(ordered))
        if turn % 3 == 0:
            count = dice.choice((1, 10))
            assert exposures.largest(count) == sum(amount for amount, _ in ordered[-count:])
            assert exposures.least_of_largest(count) == (ordered[-count][0] if len(ordered) >= count else 0)
        if turn % 5 == 0:
            least = dice.choice((1, 60, 800, 20_000, 10**6))
            assert list(exposures.from_(least)) == [name for amount, name in ordered if amount >= least]
            most = exposures.most_below(least)
            assert all(amount <= most for amount, _ in ordered if amount < least)
            assert most <= max(least, 1)
