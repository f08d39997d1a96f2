"""Indices of concentration: the published tables, the corners, and the running book beside the whole one."""

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.credit.concentration import concentration
from models.credit.indices_exact import six_places
from models.credit.running import RunningBook

TABLE = [
    (
        "541,1463,2445,3438,4437,5401,6392,8304,11904,22261",
        (0.1840812, 0.0934236, 0.4620911, 0.7338029, 0.3623412, 0.1859051),
    ),
    ("30,30,20,20", (0.26, 0.0133333, 0.1, 1.0, 0.0201355, 0.2777778)),
    (
        "0.18,6.01,11.53,33.69,7.14,14.97,6.48,9.09,3.20,1.04,6.67",
        (0.1759619, 0.0935581, 0.4637818, 0.6928, 0.3956439, 0.1695375),
    ),
]
amounts = st.decimals(min_value=0, max_value=Decimal("1e14"), places=2, allow_nan=False, allow_infinity=False)
books = st.dictionaries(st.text(max_size=3), amounts, max_size=30)


def book(weights: str) -> dict[str, Decimal]:
    return {f"m{index:02d}": Decimal(weight) for index, weight in enumerate(weights.split(","))}


@pytest.mark.parametrize(("weights", "expected"), TABLE)
def test_published_tables(weights: str, expected: tuple[float, ...]) -> None:
    found = concentration(book(weights))
    assert found is not None
    indices = (found.hhi, found.hhi_normalised, found.gini, found.cr4, found.theil, found.hall_tideman)
    assert indices == pytest.approx(expected, abs=5.1e-8)
    assert found.effective_number == pytest.approx(1 / found.hhi, rel=1e-15)
    assert found.total == sum(book(weights).values())


def test_one_member_alone_is_as_concentrated_as_can_be() -> None:
    found = concentration({"a": Decimal("0.01"), "b": Decimal(0)})
    assert found is not None
    assert (found.members, found.hhi, found.hhi_normalised, found.effective_number, found.cr4) == (1, 1, 1, 1, 1)
    assert (found.gini, found.theil, found.hall_tideman) == (0, 0, 1)


@pytest.mark.parametrize("exposures", [{}, {"a": Decimal(0)}])
def test_an_empty_book_has_no_concentration(exposures: dict[str, Decimal]) -> None:
    assert concentration(exposures) is None
    running = RunningBook(exposures)
    assert (running.hhi, running.hhi_normalised, running.effective_number, running.cr(4), running.share("a")) == (
        None,
    ) * 5
    assert (running.total, running.members) == (Decimal(0), 0)


@pytest.mark.parametrize("bad", ["-0.01", "NaN", "Infinity"])
def test_what_is_no_exposure_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="exposure of 'a'"):
        concentration({"a": Decimal(bad)})


def test_equal_members_are_not_concentrated_at_all() -> None:
    found = concentration({str(index): Decimal("33.33") for index in range(7)})
    assert found is not None
    assert (found.hhi_normalised, found.gini, found.effective_number) == (0, 0, 7)
    assert found.hhi == float(Fraction(1, 7))


def test_cents_beside_trillions_are_not_lost() -> None:
    found = concentration({"a": Decimal("999999999999999.99"), "b": Decimal("0.01"), "c": Decimal("1e-20")})
    assert found is not None
    assert str(found.total) == "1000000000000000.00000000000000000001"


@given(books)
def test_bounds(exposures: dict[str, Decimal]) -> None:
    found = concentration(exposures)
    members = sum(1 for value in exposures.values() if value)
    if not members:
        assert found is None
        return
    assert found is not None
    assert found.members == members
    assert 1 / members <= found.hhi * (1 + 1e-15) <= 1 + 1e-14
    assert 0 <= found.hhi_normalised <= 1
    assert 0 <= found.gini < 1
    assert 1 <= found.effective_number * (1 + 1e-15)
    assert found.effective_number <= members * (1 + 1e-15)
    assert list(found.shares.values()) == sorted(found.shares.values(), reverse=True)
    assert math.isclose(sum(found.shares.values()), 1)
    assert found.cr4 == pytest.approx(sum(list(found.shares.values())[:4]))


@given(books, st.lists(st.tuples(st.sampled_from("abc"), amounts, st.booleans()), max_size=30))
def test_a_running_book_equals_the_book_as_it_stands(
    start: dict[str, Decimal], moves: list[tuple[str, Decimal, bool]]
) -> None:
    running, plain = RunningBook(start), dict(start)
    for member, amount, repaid in moves:
        delta = -min(amount, plain.get(member, Decimal(0))) if repaid else amount
        running.add(member, delta)
        plain[member] = plain.get(member, Decimal(0)) + delta
    found = concentration(plain)
    assert running.exposures == {name: value for name, value in plain.items() if value}
    if found is None:
        assert running.hhi is None
        return
    assert (running.total, running.members) == (found.total, found.members)
    # Equal, not nearly equal: both are exact until they are rounded, once.
    sums, whole = running.sums, RunningBook(plain)
    assert (float(sums.hhi), float(sums.hhi_normalised)) == (found.hhi, found.hhi_normalised)
    assert float(sums.effective_number) == found.effective_number
    assert (running.hhi, running.cr(4)) == (six_places(sums.hhi), whole.cr(4))
    for member, share in found.shares.items():
        assert float(running.exact_share(member) or 0) == share


def test_a_running_book_refuses_to_fall_below_zero_and_stays_as_it_was() -> None:
    running = RunningBook({"a": Decimal(5), "b": Decimal(5)})
    with pytest.raises(ValueError, match=r"'a' would fall to -0\.01"):
        running.add("a", Decimal("-5.01"))
    with pytest.raises(ValueError, match="not a finite"):
        running.add("a", Decimal("NaN"))
    assert (running.total, running.hhi) == (Decimal(10), Decimal("0.5"))
