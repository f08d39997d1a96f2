"""The oracle's measures of concentration beside the stream's: equal on every book, to the last place."""

from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.credit.indices import indices
from models.credit.indices_granularity import Risk, granularity_adjustment
from models.oracle.indices import MEASURES, granularity_table, index_table

MONEY = pl.Decimal(38, 2)
amounts = st.decimals(min_value=0, max_value=Decimal("1e15"), places=2, allow_nan=False, allow_infinity=False)
rows = st.lists(st.tuples(st.sampled_from("xyz"), st.text(max_size=2), amounts), max_size=40)


def frame(given_rows: list[tuple[str, str, Decimal]]) -> pl.DataFrame:
    schema = {"book": pl.String, "member": pl.String, "exposure": MONEY}
    return pl.DataFrame(given_rows, schema=schema, orient="row")


def books(given_rows: list[tuple[str, str, Decimal]]) -> dict[str, dict[str, Decimal]]:
    found: dict[str, dict[str, Decimal]] = {}
    for book, member, amount in given_rows:
        held = found.setdefault(book, {})
        held[member] = held.get(member, Decimal(0)) + amount
    return found


@settings(max_examples=60, deadline=None)
@given(rows)
def test_both_say_the_same(given_rows: list[tuple[str, str, Decimal]]) -> None:
    table = index_table(frame(given_rows))
    expected = {book: found for book, held in sorted(books(given_rows).items()) if (found := indices(held))}
    assert table["book"].to_list() == list(expected)
    for row in table.iter_rows(named=True):
        found = expected[row["book"]]
        assert (row["members"], Decimal(row["total"])) == (found.members, found.total)
        assert {name: row[name] for name in MEASURES} == {name: getattr(found, name) for name in MEASURES}


def test_the_published_books() -> None:
    weights = {
        "stocks": "541,1463,2445,3438,4437,5401,6392,8304,11904,22261",
        "four": "30,30,20,20",
        "sectors": "0.18,6.01,11.53,33.69,7.14,14.97,6.48,9.09,3.20,1.04,6.67",
    }
    table = index_table(
        frame([(book, str(i), Decimal(x)) for book, text in weights.items() for i, x in enumerate(text.split(","))])
    )
    told = table.select("book", "hhi", "hhi_normalised", "gini", "cr4", "theil", "hall_tideman").rows()
    assert [(book, *map(str, figures)) for book, *figures in told] == [
        ("four", "0.260000", "0.013333", "0.100000", "1.000000", "0.020136", "0.277778"),
        ("sectors", "0.175962", "0.093558", "0.463782", "0.692800", "0.395644", "0.169538"),
        ("stocks", "0.184081", "0.093424", "0.462091", "0.733803", "0.362341", "0.185905"),
    ]


def test_corners() -> None:
    table = index_table(frame([("a", "x", Decimal("0.01")), ("b", "x", Decimal(0)), ("c", "x", Decimal(5))]))
    assert table.select("book", "total", "hhi_normalised", "theil").rows() == [
        ("a", "0.01", Decimal(1), Decimal(0)),
        ("c", "5.00", Decimal(1), Decimal(0)),
    ]
    assert index_table(frame([])).height == 0
    with pytest.raises(ValueError, match="'x' is below zero"):
        index_table(frame([("a", "x", Decimal("-0.01"))]))
    # What a member's rows come to counts, not each of them.
    assert index_table(frame([("a", "x", Decimal(5)), ("a", "x", Decimal(-5))])).height == 0


def test_squares_of_a_quadrillion_do_not_overflow() -> None:
    table = index_table(frame([("a", str(i), Decimal("999999999999999.99")) for i in range(1000)]))
    assert table.select("hhi", "effective_number", "gini").row(0) == (Decimal("0.001"), Decimal(1000), Decimal(0))


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.text(max_size=2),
        st.tuples(
            st.decimals(min_value=Decimal("0.01"), max_value=Decimal("1e12"), places=2),
            st.decimals(min_value=0, max_value=1, places=4),
            st.decimals(min_value=Decimal("0.05"), max_value=1, places=2),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_the_granularity_adjustment_is_the_same(held: dict[str, tuple[Decimal, Decimal, Decimal]]) -> None:
    rows = [("a", name, amount, float(pd), float(lgd)) for name, (amount, pd, lgd) in held.items()]
    schema = {"book": pl.String, "member": pl.String, "exposure": MONEY, "pd": pl.Float64, "lgd": pl.Float64}
    table = granularity_table(pl.DataFrame(rows, schema=schema, orient="row"))
    found = granularity_adjustment(
        {name: amount for name, (amount, _, _) in held.items()},
        {name: Risk(pd, lgd) for name, (_, pd, lgd) in held.items()},
    )
    if found is None:
        assert table.height == 0
        return
    # Both go through doubles: the sixth place may fall either way.
    assert table["adjustment"].item() == pytest.approx(found, rel=Decimal("1e-9"), abs=Decimal("1.1e-6"))
