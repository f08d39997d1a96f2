"""Shocks to an industry: expected loss and limit use before and after, worked out by hand."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from models.credit.indices_granularity import Risk
from models.credit.lookahead_limits import BookLimit, Capital
from models.credit.stress import Segment, Shock, stress

BOOK = {
    "C": Segment(Decimal(1000), Risk(Decimal("0.02"), Decimal("0.45"))),
    "K": Segment(Decimal(3000), Risk(Decimal("0.01"), Decimal("0.40"))),
}
QUARTER = BookLimit(name="quarter", dimension="industry", base="book", figure=Decimal("0.25"))
TWICE = BookLimit(name="twice", dimension="industry", base="net_capital", figure=Decimal(2))


def shock(**figures: str) -> Shock:
    return Shock(**{name: Decimal(figure) for name, figure in figures.items()})


def test_nothing_changes_without_a_shock() -> None:
    k, c, total = stress(BOOK, {})
    assert [line.industry for line in (k, c, total)] == ["K", "C", "total"]
    assert (k.loss_before, c.loss_before, total.loss_before) == (Decimal(12), Decimal(9), Decimal(21))
    assert (str(k.share_before), str(c.share_before), str(total.share_before)) == ("0.750000", "0.250000", "1.000000")
    for line in (k, c, total):
        assert (line.ead_after, line.loss_after, line.share_after) == (
            line.ead_before,
            line.loss_before,
            line.share_before,
        )


def test_a_shock_to_all_three() -> None:
    k, c, total = stress(BOOK, {"C": shock(pd_times="3", lgd_plus="0.1", growth="0.5")})
    # 1500 × 0.06 × 0.55
    assert (c.ead_after, c.pd_after, c.lgd_after) == (Decimal(1500), Decimal("0.06"), Decimal("0.55"))
    assert (str(c.loss_before), str(c.loss_after)) == ("9.00", "49.50")
    assert (str(k.loss_after), str(total.loss_before), str(total.loss_after)) == ("12.00", "21.00", "61.50")
    assert (total.ead_before, total.ead_after) == (Decimal(4000), Decimal(4500))
    assert (str(c.share_after), str(k.share_after)) == ("0.333333", "0.666667")
    assert (total.pd_after, total.lgd_before, total.limits) == (None, None, ())


def test_use_of_limits_before_and_after() -> None:
    top = BookLimit(name="top", dimension="industry", base="book", figure=Decimal("0.5"), largest=2)
    group = BookLimit(name="group", dimension="group", base="net_capital", figure=Decimal(1))
    shocks = {"C": shock(growth="-0.4")}
    k, c, _ = stress(BOOK, shocks, [QUARTER, TWICE, top, group], Capital(net=Decimal(1500)))
    assert [one.limit for one in c.limits] == ["quarter", "twice"]
    share, capital = c.limits
    assert share.before is not None
    assert share.after is not None
    assert capital.after is not None
    assert (share.before.broken, share.after.broken) == (True, False)  # exactly at a quarter, then 600 of 3600
    assert (str(share.before.used), str(share.after.used), str(capital.after.used)) == (
        "1.000000",
        "0.666667",
        "0.200000",
    )
    # K is as it was, but of a smaller book.
    assert k.limits[0].after is not None
    assert (str(k.limits[0].after.ratio), str(k.limits[1].after.used if k.limits[1].after else None)) == (
        "0.833333",
        "1.000000",
    )
    assert [one.before for one in stress(BOOK, {}, [TWICE])[0].limits] == [None]


@pytest.mark.parametrize(
    ("figures", "pd", "lgd"),
    [
        ({"pd_times": "100"}, "1", "0.45"),
        ({"pd_plus": "-0.5"}, "0", "0.45"),
        ({"lgd_plus": "0.60"}, "0.02", "1"),
        ({"lgd_times": "0"}, "0.02", "0.00"),
        ({"pd_times": "2", "pd_plus": "0.01"}, "0.05", "0.45"),
    ],
)
def test_shares_stay_shares(figures: dict[str, str], pd: str, lgd: str) -> None:
    _, line, _ = stress(BOOK, {"C": shock(**figures)})
    assert (line.pd_after, line.lgd_after) == (Decimal(pd), Decimal(lgd))


def test_an_industry_that_is_gone_and_a_book_that_is_empty() -> None:
    _, c, total = stress(BOOK, {"C": shock(growth="-1")})
    assert (c.ead_after, c.loss_after, str(c.share_after), total.ead_after) == (0, 0, "0.000000", 3000)
    gone = stress({"C": BOOK["C"]}, {"C": shock(growth="-1")}, [QUARTER])
    assert gone[0].share_after is gone[1].share_after is gone[0].limits[0].after is None
    (nothing,) = stress({}, {})
    assert (nothing.industry, nothing.loss_after, nothing.share_before) == ("total", 0, None)


def test_losses_are_summed_before_they_are_rounded() -> None:
    half_cents = {name: Segment(Decimal("0.5"), Risk(Decimal("0.01"), Decimal(1))) for name in "ABCD"}
    *lines, total = stress(half_cents, {})
    assert [str(line.loss_before) for line in lines] == ["0.00"] * 4  # 0.005 each, half-even
    assert str(total.loss_before) == "0.02"


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ({"growth": "-1.01"}, "growth of a shock is -1.01: it must be -1 or more"),
        ({"pd_times": "-1"}, "pd_times of a shock is -1: it must be 0 or more"),
        ({"lgd_times": "-0.1"}, "lgd_times of a shock is"),
        ({"pd_plus": "NaN"}, "pd_plus of a shock is NaN: it must be a finite number"),
    ],
)
def test_what_is_no_shock_is_refused(figures: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shock(**figures)


@pytest.mark.parametrize("ead", ["-1", "NaN"])
def test_what_is_no_exposure_is_refused_by_name(ead: str) -> None:
    wrong: Any = {**BOOK, "K": msgspec.structs.replace(BOOK["K"], ead=Decimal(ead))}
    with pytest.raises(ValueError, match="exposure of 'K'"):
        stress(wrong, {})


def test_a_shock_to_an_industry_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no industry 'Z' to shock; it has C, K"):
        stress(BOOK, {"Z": shock(pd_times="2")})
