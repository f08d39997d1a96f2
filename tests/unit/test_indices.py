"""Every measure of concentration: published figures, corners, another library, and the running book."""

import math
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from fractions import Fraction

import concentrationMetrics
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gamma

from models.credit import indices as measures
from models.credit.indices import indices
from models.credit.indices_exact import ranked, six_places
from models.credit.indices_granularity import DELTA, Risk, granularity_adjustment
from models.credit.indices_growth import Growths, growth, growths, months_before, to_capital
from models.credit.running import RunningBook
from models.credit.running_granularity import RunningGranularity

# hhi, normalised, gini, cr4, theil, hall_tideman
TABLE = [
    (
        "541,1463,2445,3438,4437,5401,6392,8304,11904,22261",
        ("0.184081", "0.093424", "0.462091", "0.733803", "0.362341", "0.185905"),
    ),
    ("30,30,20,20", ("0.260000", "0.013333", "0.100000", "1.000000", "0.020136", "0.277778")),
    (
        "0.18,6.01,11.53,33.69,7.14,14.97,6.48,9.09,3.20,1.04,6.67",
        ("0.175962", "0.093558", "0.463782", "0.692800", "0.395644", "0.169538"),
    ),
]
SINGLE: list[Callable[..., Decimal | None]] = [
    measures.hhi,
    measures.hhi_normalised,
    measures.effective_number,
    measures.gini,
    measures.theil,
    measures.hall_tideman,
    lambda book: measures.cr(book, 1),
    lambda book: measures.cr(book, 4),
    lambda book: measures.cr(book, 10),
]
NAMES = ("hhi", "hhi_normalised", "effective_number", "gini", "theil", "hall_tideman", "cr1", "cr4", "cr10")
STANDARD = Risk(Decimal("0.01"), Decimal("0.45"))
amounts = st.decimals(min_value=0, max_value=Decimal("1e14"), places=2, allow_nan=False, allow_infinity=False)
books = st.dictionaries(st.text(max_size=3), amounts, max_size=25)


def book(weights: str) -> dict[str, Decimal]:
    return {f"m{index:02d}": Decimal(weight) for index, weight in enumerate(weights.split(","))}


@pytest.mark.parametrize(("weights", "expected"), TABLE)
def test_published_figures_to_six_places(weights: str, expected: tuple[str, ...]) -> None:
    found = indices(book(weights))
    assert found is not None
    told = (found.hhi, found.hhi_normalised, found.gini, found.cr4, found.theil, found.hall_tideman)
    assert tuple(map(str, told)) == expected
    assert found.total == sum(book(weights).values())


@pytest.mark.parametrize(("weights", "_expected"), TABLE)
def test_each_measure_alone_is_the_one_of_the_table(weights: str, _expected: object) -> None:
    found = indices(book(weights))
    assert [measure(book(weights)) for measure in SINGLE] == [getattr(found, name) for name in NAMES]


def test_one_member_is_as_concentrated_as_can_be() -> None:
    found = indices({"a": Decimal("0.01"), "b": Decimal(0)})
    assert found is not None
    assert found.members == 1
    for name in ("hhi", "hhi_normalised", "effective_number", "cr1", "cr4", "cr10", "hall_tideman"):
        assert str(getattr(found, name)) == "1.000000"
    # Nothing is unequal among one.
    assert (str(found.gini), str(found.theil)) == ("0.000000", "0.000000")
    assert str(measures.share({"a": Decimal(7)}, "a")) == "1.000000"


@pytest.mark.parametrize("empty", [{}, {"a": Decimal(0)}, {"a": Decimal("-0")}])
def test_a_book_without_exposure_gives_none(empty: dict[str, Decimal]) -> None:
    assert indices(empty) is None
    assert [measure(empty) for measure in SINGLE] == [None] * len(SINGLE)
    assert measures.share(empty, "a") is None
    assert granularity_adjustment(empty, {}) is None
    running = RunningBook(empty)
    assert (running.hhi, running.hhi_normalised, running.effective_number, running.theil) == (None,) * 4
    assert (running.cr(4), running.share("a"), running.indices(), running.total) == (None, None, None, Decimal(0))
    assert (running.largest(10), running.members) == (Decimal(0), 0)


@pytest.mark.parametrize("bad", ["-0.01", "NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_no_exposure_is_refused_by_name(bad: str) -> None:
    wrong = {"fine": Decimal(1), "acme": Decimal(bad)}
    for measure in [indices, *SINGLE, RunningBook, lambda one: granularity_adjustment(one, {})]:
        with pytest.raises(ValueError, match="exposure of 'acme'"):
            measure(wrong)


def test_a_tie_is_rounded_to_the_even_place_from_the_exact_value() -> None:
    # Shares of 0.0000005 and 0.0000015: the doubles next to them would not both fall this way.
    shares = {"a": Decimal(1), "b": Decimal(3), "rest": Decimal(1_999_996)}
    assert [str(measures.share(shares, name)) for name in "ab"] == ["0.000000", "0.000002"]
    assert str(six_places(Fraction(-5, 10_000_000))) == "0.000000"


def test_equal_members_are_not_concentrated_at_all() -> None:
    found = indices({str(one): Decimal("33.33") for one in range(7)})
    assert found is not None
    assert (found.hhi_normalised, found.gini, found.theil, found.effective_number) == (0, 0, 0, 7)
    assert not found.theil.is_signed()
    assert str(found.hhi) == "0.142857"


def test_cents_beside_trillions_are_not_lost() -> None:
    found = indices({"a": Decimal("999999999999999.99"), "b": Decimal("0.01"), "c": Decimal("1e-20")})
    assert found is not None
    assert str(found.total) == "1000000000000000.00000000000000000001"


def test_a_ratio_of_no_members_is_refused() -> None:
    for largest in (0, -1):
        with pytest.raises(ValueError, match=f"not {largest}"):
            measures.cr({"a": Decimal(1)}, largest)
        with pytest.raises(ValueError, match=f"not {largest}"):
            RunningBook({"a": Decimal(1)}).cr(largest)


# ----------------------------------------------------------------- another library


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 10**9), min_size=2, max_size=40))
def test_concentration_metrics_says_the_same(weights: list[int]) -> None:
    theirs, data = concentrationMetrics.Index(), np.array(weights, dtype=float)
    exact = ranked({f"m{i}": Decimal(weight) for i, weight in enumerate(weights)})
    assert exact is not None
    ours = {
        "hhi": float(exact.sums.hhi),
        "normalised": float(exact.sums.hhi_normalised),
        "effective": float(exact.sums.effective_number),
        "cr1": float(exact.cr(1)),
        "gini": float(exact.gini),
        "theil": float(exact.sums.theil),
        "hall_tideman": float(exact.hall_tideman),
        **{f"cr{k}": float(exact.cr(k)) for k in (4, 10) if k <= len(weights)},
    }
    said = {
        "hhi": theirs.hhi(data, normalized=False),
        "normalised": theirs.hhi(data),  # its default
        "effective": theirs.invsimpson(data),
        "cr1": theirs.berger_parker(data),
        "gini": theirs.gini(data),
        "theil": theirs.theil(data),
        "hall_tideman": theirs.hti(data),
        **{f"cr{k}": theirs.cr(data, k) for k in (4, 10) if k <= len(weights)},
    }
    assert ours == pytest.approx(said, rel=1e-9, abs=1e-12)


def test_where_concentration_metrics_gives_nan_or_raises() -> None:
    theirs = concentrationMetrics.Index()
    one, three = {"a": Decimal(5)}, {"a": Decimal(5), "b": Decimal(3), "c": Decimal(2)}
    with np.errstate(all="ignore"):
        assert math.isnan(theirs.hhi(np.array([5.0])))
    assert measures.hhi_normalised(one) == 1
    with pytest.raises(ValueError, match="non-zero"):
        theirs.hhi(np.array([0.0, 0.0]))
    assert measures.hhi({"a": Decimal(0), "b": Decimal(0)}) is None
    with pytest.raises(ValueError, match="smaller than the data size"):
        theirs.cr(np.array([5.0, 3.0, 2.0]), 4)
    assert measures.cr(three, 4) == 1
    # It counts members without exposure, so that its figure depends on how many names the list happens to hold.
    padded = np.array([5.0, 3.0, 2.0, 0.0])
    assert theirs.gini(padded) != pytest.approx(theirs.gini(padded[:3]))
    assert measures.gini({**three, "d": Decimal(0)}) == measures.gini(three)


# --------------------------------------------------------------------- the running book


@settings(max_examples=50, deadline=None)
@given(books, st.lists(st.tuples(st.sampled_from("abc"), amounts, st.booleans()), max_size=25))
def test_a_running_book_equals_the_book_as_it_stands(
    start: dict[str, Decimal], moves: list[tuple[str, Decimal, bool]]
) -> None:
    running, plain = RunningBook(start), dict(start)
    for member, amount, repaid in moves:
        delta = -min(amount, plain.get(member, Decimal(0))) if repaid else amount / 1000  # five places at most
        ahead = running.hhi_with(member, delta), running.largest_with(member, delta, 2)
        running.add(member, delta)
        plain[member] = plain.get(member, Decimal(0)) + delta
        assert ahead == (running.hhi, running.largest(2))
    found = indices(plain)
    assert running.exposures == {name: value for name, value in plain.items() if value}
    assert running.indices() == found
    if found is None:
        assert running.hhi is None
        return
    exact = ranked(plain)
    assert exact is not None
    scale = Fraction(running.sums.total, exact.sums.total)  # it may count in finer units by now
    assert (running.sums.members, running.sums.squares) == (exact.sums.members, exact.sums.squares * scale**2)
    assert (running.total, running.members) == (found.total, found.members)
    told = (running.hhi, running.hhi_normalised, running.effective_number, running.cr(1), running.cr(4), running.cr(10))
    assert told == (found.hhi, found.hhi_normalised, found.effective_number, found.cr1, found.cr4, found.cr10)
    assert running.theil == pytest.approx(found.theil, abs=Decimal("1.1e-6"))
    for member in plain:
        assert running.share(member) == measures.share(plain, member)


def test_what_goes_in_and_comes_out_leaves_no_trace() -> None:
    running = RunningBook({"a": Decimal("10.01"), "b": Decimal(3)})
    before = running.sums
    steps = [(f"m{i % 37}", Decimal(i * 7919 % 100_003 + 1) / 100) for i in range(500)]
    for member, amount in steps:
        running.add(member, amount)
    for member, amount in sorted(steps):
        running.add(member, -amount)
    assert running.sums == before
    assert running.exposures == {"a": Decimal("10.01"), "b": Decimal(3)}


def test_a_running_book_refuses_to_fall_below_zero_and_stays_as_it_was() -> None:
    running = RunningBook({"a": Decimal(5), "b": Decimal(5)})
    with pytest.raises(ValueError, match=r"'a' would fall to -0\.01"):
        running.add("a", Decimal("-5.01"))
    with pytest.raises(ValueError, match="not a finite"):
        running.add("a", Decimal("NaN"))
    assert (running.total, str(running.hhi), running.exposure("a")) == (Decimal(10), "0.500000", Decimal(5))


def test_a_hundred_thousand_borrowers_are_held_and_moved_one_by_one() -> None:
    running = RunningBook({f"b{i}": Decimal(i % 977 + 1) for i in range(100_000)})
    total = running.total
    running.add("b7", Decimal(10**9))
    assert running.total == total + 10**9
    assert running.largest(2) == 10**9 + 8 + 977
    assert running.cr(1) == six_places(Fraction(10**9 + 8) / Fraction(running.total))


# --------------------------------------------------------- granularity, capital and growth


@pytest.mark.parametrize(("count", "told"), [(100, "0.012660"), (1000, "0.001266")])
def test_granularity_of_homogeneous_books(count: int, told: str) -> None:
    """126.60 and 12.66 basis points, which only the formula with all its terms gives."""
    equal = {f"b{i}": Decimal("12.50") for i in range(count)}
    risks = dict.fromkeys(equal, STANDARD)
    assert str(granularity_adjustment(equal, risks)) == told
    assert str(RunningGranularity(equal, risks).adjustment) == told
    if count == 100:
        assert str(granularity_adjustment(equal, risks, simplified=True)) == "0.012351"


def test_delta_is_that_of_the_gamma_quantile() -> None:
    alpha = gamma(0.25, scale=4).ppf(0.999)
    assert round((alpha - 1) * (0.25 + 0.75 / alpha), 4) == DELTA


def test_borrowers_without_unexpected_loss_add_nothing_but_their_exposure() -> None:
    plain = {f"b{i}": Decimal(1) for i in range(100)}
    risks = dict.fromkeys(plain, STANDARD)
    certain = {"defaulted": Risk(Decimal(1), Decimal("0.45")), "riskless": Risk(Decimal(0), Decimal("0.45"))}
    found = granularity_adjustment({**plain, **dict.fromkeys(certain, Decimal(50))}, {**risks, **certain})
    # Half the book bears all the capital: shares are halved, their squares quartered, and so is K* halved.
    assert str(found) == "0.006330"
    assert granularity_adjustment(dict.fromkeys(certain, Decimal(1)), certain) is None
    assert granularity_adjustment({"a": Decimal(1)}, {"a": Risk(Decimal("0.01"), Decimal(0))}) is None


def test_a_borrower_without_risk_and_a_risk_that_is_none_are_refused() -> None:
    with pytest.raises(ValueError, match="for 'b'"):
        granularity_adjustment({"a": Decimal(1), "b": Decimal(1)}, {"a": STANDARD})
    with pytest.raises(ValueError, match="for 'b'"):
        RunningGranularity({"b": Decimal(1)}, {})
    for pd, lgd in (("1.01", "0.45"), ("-0.01", "0.45"), ("NaN", "0.45"), ("0.01", "1.01")):
        with pytest.raises(ValueError, match="must be a share from 0 to 1"):
            Risk(Decimal(pd), Decimal(lgd))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcd"), amounts, st.sampled_from(["0.0003", "0.01", "0.2", "1"])), max_size=15)
)
def test_a_running_adjustment_equals_that_of_the_book_as_it_stands(steps: list[tuple[str, Decimal, str]]) -> None:
    running, plain, risks = RunningGranularity(), {}, {}
    for member, exposure, pd in steps:
        amount = exposure / 10 if pd == "0.2" else exposure
        running.put(member, amount, Risk(Decimal(pd), Decimal("0.45")))
        plain[member], risks[member] = amount, Risk(Decimal(pd), Decimal("0.45"))
    assert running.adjustment == granularity_adjustment(plain, risks)
    more = {**plain, "new": Decimal("10.001")}
    expected = granularity_adjustment(more, {**risks, "new": STANDARD})
    assert running.with_loan(Decimal("10.001"), STANDARD) == expected
    assert running.adjustment == granularity_adjustment(plain, risks)


def test_exposure_to_capital() -> None:
    assert str(to_capital(Decimal(150), Decimal(400))) == "0.375000"
    assert [to_capital(Decimal(1), capital) for capital in (None, Decimal(0), Decimal(-5))] == [None] * 3


def test_growth_over_three_twelve_and_thirty_six_months() -> None:
    assert (str(growth(Decimal(150), Decimal(100))), str(growth(Decimal(0), Decimal(100)))) == ("0.500000", "-1.000000")
    assert (growth(Decimal(1), None), growth(Decimal(1), Decimal(0))) == (None, None)
    history = {
        date(2023, 6, 30): Decimal(100),
        date(2025, 6, 29): Decimal(120),
        date(2026, 3, 31): Decimal(0),
        date(2026, 6, 30): Decimal(150),
        date(2026, 7, 1): Decimal(999),
    }
    told = growths(history, date(2026, 6, 30))
    assert told == Growths(None, Decimal("0.250000"), Decimal("0.500000"))
    # A day short of the first closing nothing is known, and growth over 36 months is none.
    del history[date(2023, 6, 30)]
    assert growths(history, date(2026, 6, 30)).months_36 is None
    assert growths({}, date(2026, 6, 30)) == Growths(None, None, None)


@pytest.mark.parametrize(
    ("day", "months", "earlier"),
    [
        (date(2026, 5, 31), 3, date(2026, 2, 28)),
        (date(2024, 5, 31), 3, date(2024, 2, 29)),
        (date(2026, 2, 28), 24, date(2024, 2, 29)),
        (date(2026, 1, 15), 3, date(2025, 10, 15)),
        (date(2026, 3, 30), 1, date(2026, 2, 28)),
        (date(2026, 12, 31), 36, date(2023, 12, 31)),
    ],
)
def test_months_are_counted_on_the_calendar(day: date, months: int, earlier: date) -> None:
    assert months_before(day, months) == earlier


def test_theil_does_not_depend_on_the_units_that_a_book_is_counted_in() -> None:
    coarse = ranked(book("541,1463,2445,3438"))
    fine = ranked(book("541.0000001,1463,2445,3438"))
    assert coarse is not None
    assert fine is not None
    assert float(coarse.sums.scaled(10**7).theil) == pytest.approx(float(coarse.sums.theil), abs=1e-13)
    assert float(fine.sums.theil) == pytest.approx(float(coarse.sums.theil), abs=1e-9)
