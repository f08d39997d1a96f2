"""Packs: what they compare, how they word it, and the page and the workbook made of them."""

import io
import re
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from openpyxl import load_workbook

from connectors.reports import html, xlsx
from models.response.kpi import Figures, Key, Ratio, Spread
from models.response.pack import SUMMARY, TOPICS, Pack, packed
from models.response.pack_text import Language, difference_text, period_text, size_text, span_text
from models.response.period import Period, parse_period

HOUR = timedelta(hours=1)
JULY, JUNE = parse_period("2026-07"), parse_period("2026-06")


def share(part: int, whole: int, name: str = "t") -> Ratio:
    ids = [f"{name}{number:04d}" for number in range(whole)]
    return Ratio(frozenset(ids[:part]), frozenset(ids))


def rate(part: int, whole: int) -> Ratio:
    return Ratio(frozenset(f"r{number}" for number in range(part)), whole, 10_000)


def clock(*hours: float) -> Spread:
    return Spread({f"w{number}": timedelta(hours=one) for number, one in enumerate(hours)})


NOW: Figures = {
    Key("completion"): share(3, 4),
    Key("completion", "department", "risk"): share(0, 1),
    Key("completion", "department", "operations"): share(3, 3),
    Key("completion", "branch", "0731"): share(3, 4),
    Key("timeliness"): share(2, 4),
    Key("risk_events"): rate(7, 200_000),
    Key("risk_events", "branch", "0731"): rate(7, 200_000),
    Key("risk_events", "department", "credit"): Ratio(frozenset({"industry:BANK1:K#1@x"}), 8),
    Key("false_positives"): share(1, 2, "c"),
    Key("false_positives", "detector", "structuring"): share(1, 1, "c"),
    Key("false_positives", "detector", "large_transaction"): share(0, 2, "c"),
    Key("complaints"): Ratio(frozenset(), 200_000, 10_000),
    Key("acknowledgement"): clock(1, 3),
    Key("acknowledgement", "department", "it"): clock(1),
    Key("arrival"): clock(0.001),
}
BEFORE: Figures = {
    Key("completion"): share(2, 3),
    Key("timeliness"): share(2, 4),
    Key("risk_events"): rate(6, 200_000),
    Key("complaints"): Ratio(frozenset(), 0, 10_000),
    Key("joint_completion"): share(1, 1),
    Key("acknowledgement"): clock(4),
    Key("arrival"): clock(0.001),
}


def pack(now: Figures = NOW, before: Figures = BEFORE, **fields: Any) -> Pack:
    return packed(JULY, {JULY: now, JUNE: before}, **fields)


def page(made: Pack, language: Language = "en") -> str:
    return html.render(made, "Policy <of> a bank", "cn-1", language)


def test_figures_stand_beside_those_of_the_period_before() -> None:
    made = pack()
    assert made.line(Key("completion")).differences == (Decimal("0.083333"),)
    assert made.line(Key("acknowledgement")).differences == (-3 * HOUR, -HOUR)
    assert made.line(Key("joint_completion")).differences == ()
    assert made.line(Key("complaints")).differences == ()
    assert [line.key for line in made.summary] == list(SUMMARY)


def test_sections_keep_their_order() -> None:
    made = pack()
    assert [one.topic for one in made.sections] == list(TOPICS)
    keys = {one.topic: [(line.key.kpi, line.key.member) for line in one.lines] for one in made.sections}
    assert keys["joint_work"] == [
        ("joint_completion", ""),
        ("completion", ""),
        ("completion", "operations"),  # as departments are always listed
        ("completion", "risk"),
    ]
    assert keys["false_positives"] == [
        ("false_positives", ""),
        ("false_positives", "large_transaction"),  # the larger one first
        ("false_positives", "structuring"),
    ]
    assert keys["faults"] == [
        (kpi, member) for member in ("it", "clearing") for kpi in ("acknowledgement", "resolution")
    ]


def test_a_quarter_is_made_of_its_months_and_compared_with_the_one_before() -> None:
    quarter = parse_period("2026-Q3")
    months: Mapping[Period, Figures] = {
        month: {Key("completion"): share(month.month % 4, 4, month.name)}
        for one in (quarter.before(), quarter)
        for month in one.each_month()
    }
    made = packed(quarter, months)
    line = made.line(Key("completion"))
    assert isinstance(line.now, Ratio)
    assert isinstance(line.before, Ratio)
    assert (len(line.now.part), line.now.count) == (3 + 0 + 1, 12)
    assert (len(line.before.part), line.before.count) == (0 + 1 + 2, 12)
    assert [month.name for month, _ in made.months] == ["2026-07", "2026-08", "2026-09"]
    with pytest.raises(KeyError):
        packed(parse_period("2026"), months)


def test_what_changed_is_told_with_its_numbers() -> None:
    said = {one.key.kpi: (one.en, one.zh) for one in pack().changes}
    assert list(said) == ["completion", "risk_events", "acknowledgement"]  # not: unchanged, or nothing to compare
    assert said["completion"] == (
        "Tasks finished in time: 75.0% (3 of 4), up 8.3 pp from 66.7% (2 of 3) in 2026-06.",
        "任务按期完成率：75.0%（3 / 4），2026年6月为66.7%（2 / 3），上升8.3个百分点。",
    )
    assert said["risk_events"][0] == (
        "Confirmed risk events per 10,000 customer transactions: 0.35 (7 of 200,000), up 0.05 from 0.30"
        " (6 of 200,000) in 2026-06."
    )
    assert said["acknowledgement"] == (
        "From warning to acknowledgement: median 1 h, 95% within 3 h (2 tasks); in 2026-06 median 4 h, 95% within 4 h"
        " (1 task).",
        "预警至签收：中位数1小时，95%不超过3小时（2项任务）；2026年6月：中位数4小时，95%不超过4小时（1项任务）。",
    )


@pytest.mark.parametrize(
    ("span", "en", "zh"),
    [
        (timedelta(0), "0 s", "0秒"),
        (timedelta(microseconds=400), "<1 ms", "<1毫秒"),
        (timedelta(milliseconds=350), "350 ms", "350毫秒"),
        (timedelta(seconds=1), "1.0 s", "1.0秒"),
        (timedelta(seconds=59.94), "59.9 s", "59.9秒"),
        (timedelta(seconds=59.96), "1 min", "1分"),
        (timedelta(minutes=59, seconds=59), "59 min 59 s", "59分59秒"),
        (timedelta(minutes=59, seconds=59.6), "1 h", "1小时"),
        (timedelta(hours=28, minutes=10), "28 h 10 min", "28小时10分"),
        (timedelta(hours=71, minutes=59, seconds=50), "3 d", "3天"),
        (timedelta(days=3, hours=4, minutes=20), "3 d 4 h", "3天4小时"),
        (timedelta(seconds=-2.25), "−2.2 s", "−2.2秒"),
    ],
)
def test_spans_are_told_in_units_that_fit(span: timedelta, en: str, zh: str) -> None:
    assert (span_text(span, "en"), span_text(span, "zh")) == (en, zh)


def test_a_difference_is_what_a_reader_gets_from_what_is_shown() -> None:
    # 0.91 and 1.19: by the exact rates 0.274 less.
    assert size_text(rate(1, 1), Decimal("0.912526"), Decimal("1.186073"), "en") == "0.28"
    assert difference_text(share(1, 2), Decimal("0.75"), Decimal("0.666667"), "zh") == "▲ 8.3个百分点"
    assert difference_text(share(1, 2), Decimal("0.5"), Decimal("0.500100"), "en") == "▼ <0.1 pp"
    assert difference_text(share(1, 2), Decimal("0.5"), Decimal("0.5"), "en") == "= 0"
    assert difference_text(rate(1, 2), Decimal("0.5"), Decimal("0.501"), "en") == "▼ <0.01"
    assert difference_text(clock(1), 3 * HOUR, 2 * HOUR + timedelta(minutes=50), "en") == "▲ 10 min"
    assert difference_text(clock(1), 80 * HOUR, 75 * HOUR + timedelta(minutes=40), "en") == "▲ 4 h"
    assert difference_text(clock(1), 2 * HOUR + timedelta(seconds=3), 2 * HOUR, "en") == "▲ <1 min"


@pytest.mark.parametrize(("name", "zh"), [("2026-07", "2026年7月"), ("2026-Q3", "2026年第三季度"), ("2026", "2026年")])
def test_periods_are_named_as_people_write_them(name: str, zh: str) -> None:
    assert (period_text(parse_period(name), "en"), period_text(parse_period(name), "zh")) == (name, zh)


def test_the_page_holds_everything_and_needs_nothing_from_outside() -> None:
    shown = page(pack())
    assert "Policy &lt;of&gt; a bank" in shown
    assert "1 July 2026 to 31 July 2026" in shown
    assert "IT and clearing acknowledged" not in shown
    assert "size: A4" in shown
    for outside in ("<script", "<link", "<img", " src=", "url(", "@import", "http:", "https:"):
        assert outside not in shown, outside
    anchors = set(re.findall(r'href="#([^"]+)"', shown))
    assert anchors
    assert anchors <= set(re.findall(r' id="([^"]+)"', shown))
    # Behind the share of operations: what was in time, and what was not.
    assert "finished in time: 3" in shown
    assert "not finished in time: 1" in shown
    assert "Held against 200,000 customer transactions, which are not listed." in shown
    assert "Held against 8 loans" in shown


def test_each_language_has_its_own_words() -> None:
    chinese = page(pack(), "zh")
    for word in (
        "风险联动报告",
        "联动工作",
        "按期办结",
        "拆分交易",
        "科技部",
        "2026年7月1日至2026年7月31日",
        "▲ 8.3个百分点",
    ):
        assert word in chinese, word
    assert "Tasks" not in chinese
    assert 'lang="zh-CN"' in chinese


@pytest.mark.parametrize(("language", "words"), [("en", "Nothing was due."), ("zh", "没有到期的任务。")])
def test_where_there_is_nothing_words_say_so(language: Language, words: str) -> None:
    made = pack({}, {})
    assert all(one.empty for one in made.sections)
    assert words in page(made, language)
    assert "<table" not in page(made, language)
    assert "<svg" not in page(made, language)


def test_a_period_that_is_not_over_says_so() -> None:
    assert "the newest event is of 20 July 2026" in page(pack(as_far_as=date(2026, 7, 20)))
    assert "最新事件日期为2026年7月20日" in page(pack(as_far_as=date(2026, 7, 20)), "zh")
    assert "newest event" not in page(pack())


def test_long_lists_say_how_many_more_there_are() -> None:
    shown = page(pack({Key("completion"): share(200, 1401)}))
    assert shown.count("<li>t") == 400
    assert "… and 1,001 more; JSON has all." in shown
    branches: Figures = {Key("complaints", "branch", f"B{number:02d}"): rate(1, 10) for number in range(33)}
    assert "… and 3 more with less behind them" in page(pack(branches))


def test_ids_cannot_write_markup_or_formulas() -> None:
    wild = Ratio(frozenset({"<b>=1+1"}), frozenset({"<b>=1+1", "=2+2"}))
    made = pack({Key("completion"): wild})
    assert "<b>=" not in page(made)
    book = load_workbook(io.BytesIO(xlsx.workbook(made, "title", "cn-1", "en")))
    cells = {row[3].value: row[3].data_type for row in book["Ids"].iter_rows(min_row=2)}
    assert cells == {"<b>=1+1": "s", "=2+2": "s"}


def test_a_chart_shows_shares_of_several_members_only() -> None:
    two: Figures = {Key("completion", "department", name): share(1, 2) for name in ("it", "risk")}
    assert page(pack(two)).count("<svg") == 1
    assert "<svg" not in page(pack({Key("completion", "department", "it"): share(1, 2)}))
    year = parse_period("2026-Q1")
    figures: dict[Period, Figures] = {month: {} for one in (year.before(), year) for month in one.each_month()}
    figures[parse_period("2026-02")] = {Key("completion"): share(1, 2)}
    drawn = page(packed(year, figures))
    assert drawn.count("<svg") == 1
    assert ">50.0</text>" in drawn
    assert ">–</text>" in drawn


def test_the_workbook_has_numbers_as_numbers() -> None:
    book = load_workbook(io.BytesIO(xlsx.workbook(pack(as_far_as=date(2026, 7, 20)), "title", "cn-1", "en")))
    assert book.sheetnames[:2] == ["Key figures", "Joint work"]
    assert len(book.sheetnames) == 2 + len(TOPICS)
    assert all(sheet.freeze_panes for sheet in book)
    rows = {(row[0].value, row[2].value): row for row in book["Joint work"].iter_rows(min_row=2)}
    total = rows["Tasks finished in time", None]
    assert (total[5].value, total[5].number_format) == (0.75, "0.0%")
    assert [total[column].value for column in (7, 8, 11, 12)] == [3, 4, 2, 3]
    assert total[13].value == pytest.approx(0.083333)
    assert rows["Tasks finished in time", "risk"][3].value == "Risk"
    clocks = {row[0].value: row for row in book["Clocks"].iter_rows(min_row=2) if row[2].value is None}
    told = clocks["From warning to acknowledgement"]
    assert [told[column].value for column in (4, 5, 6, 8, 9, 13)] == ["hours", 1, 3, 2, 4, -3]
    assert [clocks["From event to arrival"][column].value for column in (4, 5)] == ["seconds", 3.6]
    ids = list(book["Ids"].iter_rows(min_row=2, values_only=True))
    assert ("Tasks finished in time", "all", None, "t0003", "not finished in time", None, None) in ids
    assert ("From warning to acknowledgement", "all", None, "w1", None, 3, "hours") in ids
    first = [row[0].value for row in book["Key figures"].iter_rows()]
    assert "the newest event is of 20 July 2026" in first[1]
    assert any("up 8.3 pp" in str(one) for one in first)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_same_figures_give_the_same_bytes(language: Language) -> None:
    turned = packed(JULY, {JUNE: dict(reversed(BEFORE.items())), JULY: dict(reversed(NOW.items()))})
    assert page(pack(), language) == page(turned, language)
    one, other = (xlsx.workbook(made, "title", "cn-1", language) for made in (pack(), turned))
    assert one == other
