"""How the figures of a pack are written, in Chinese and English, and what changed in a sentence."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Literal

from models.response.kpi import Kpi, Ratio, Spread
from models.response.period import Period

Language = Literal["en", "zh"]
Amount = Decimal | timedelta
NAMES: Mapping[Language, Mapping[Kpi, str]] = {
    "en": {
        "completion": "Tasks finished in time",
        "joint_completion": "Joint cases finished in time",
        "timeliness": "Tasks acknowledged in time",
        "risk_events": "Confirmed risk events per 10,000 customer transactions",
        "false_positives": "False alarms among decided cases",
        "complaints": "Complaints per 10,000 customer transactions",
        "arrival": "From event to arrival",
        "detection": "From arrival to warning",
        "acknowledgement": "From warning to acknowledgement",
        "handling": "From acknowledgement to the end of the task",
        "resolution": "From warning to the end of the task",
    },
    "zh": {
        "completion": "任务按期完成率",
        "joint_completion": "联合案件按期完成率",
        "timeliness": "任务按时签收率",
        "risk_events": "每万笔客户交易的确认风险事件",
        "false_positives": "已定案件误报率",
        "complaints": "每万笔客户交易的投诉",
        "arrival": "事件发生至到达",
        "detection": "到达至预警",
        "acknowledgement": "预警至签收",
        "handling": "签收至任务办结",
        "resolution": "预警至任务办结",
    },
}
_QUARTERS = "一二三四"
_THINGS: Mapping[Kpi, tuple[str, str, str]] = {  # one, several, in Chinese: what a clock was read on
    "arrival": ("warning", "warnings", "条预警"),
    "detection": ("warning", "warnings", "条预警"),
}
_TASKS = ("task", "tasks", "项任务")
_UNITS: Mapping[Language, tuple[str, str, str, str, str]] = {
    "en": (" d", " h", " min", " s", " ms"),
    "zh": ("天", "小时", "分", "秒", "毫秒"),
}
_MINUS = "−"
_NO_TIME, _MICROSECOND, _MILLISECOND = timedelta(0), timedelta(microseconds=1), timedelta(milliseconds=1)
_SECOND, _MINUTE, _HOUR, _DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_PLACES = (  # below so much, a span is told to this place; from three days on to the hour
    (_SECOND, _MILLISECOND),
    (_MINUTE, _SECOND / 10),
    (_HOUR, _SECOND),
    (3 * _DAY, _MINUTE),
)


def period_text(period: Period, language: Language) -> str:
    """A period's name as people write it.

    >>> period_text(Period(2026, 7, 3), "zh"), period_text(Period(2026, 7, 1), "en")
    ('2026年第三季度', '2026-07')
    """
    if language == "en":
        return period.name
    if period.months == 12:
        return f"{period.year}年"
    if period.months == 3:
        return f"{period.year}年第{_QUARTERS[(period.month - 1) // 3]}季度"
    return f"{period.year}年{period.month}月"


def share_text(share: Decimal) -> str:
    """A share in percent with one decimal.

    >>> share_text(Decimal("0.0625"))
    '6.2%'
    """
    return f"{_one_place(share * 100)}%"


def ratio_text(ratio: Ratio, value: Decimal) -> str:
    """A share in percent; a rate, or what is held against so many of something else, with two decimals."""
    return share_text(value) if ratio.per == 1 else f"{_two_places(value):,}"


def figure_texts(figure: Ratio | Spread | None, language: Language) -> tuple[str, ...]:
    """A share or rate, or the median and 95th percentile of a clock; empty where there is nothing to count."""
    if isinstance(figure, Ratio):
        return () if figure.value is None else (ratio_text(figure, figure.value),)
    if figure is None or figure.p50 is None or figure.p95 is None:
        return ()
    return span_text(figure.p50, language), span_text(figure.p95, language)


def count_text(ratio: Ratio, language: Language) -> str:
    """What a share or rate was counted from: `3 of 4`."""
    part, whole = f"{len(ratio.part):,}", f"{ratio.count:,}"
    return f"{part} / {whole}" if language == "zh" else f"{part} of {whole}"


def span_text(span: timedelta, language: Language) -> str:
    """How long something took, by two units; from three days on by days of 24 hours.

    >>> span_text(timedelta(hours=28, minutes=10), "en"), span_text(timedelta(seconds=-2.25), "zh")
    ('28 h 10 min', '−2.2秒')
    """
    days, hours, minutes, seconds, thousandths = _UNITS[language]
    sign = _MINUS if span < _NO_TIME else ""
    size = _rounded(abs(span), _place(abs(span)))
    place = _place(size)  # anew, so that nothing is called 60 minutes
    if place < _SECOND:
        if size < _SECOND and span:
            return f"{sign}{size // _MILLISECOND or '<1'}{thousandths}"
        return f"{sign}{_one_place(Decimal(size // _MICROSECOND) / 10**6) if size else 0}{seconds}"
    large, names = {
        _SECOND: (_MINUTE, (minutes, seconds)),
        _MINUTE: (_HOUR, (hours, minutes)),
        _HOUR: (_DAY, (days, hours)),
    }[place]
    whole, rest = divmod(size, large)
    gap = " " if language == "en" else ""
    return f"{sign}{whole}{names[0]}" + (f"{gap}{rest // place}{names[1]}" if rest else "")


def _place(size: timedelta) -> timedelta:
    """The last place in which a span of this size is told."""
    for below, place in _PLACES:
        if size < below:
            return place
    return _HOUR


def _rounded(span: timedelta, place: timedelta) -> timedelta:
    return round(Fraction(span // _MICROSECOND, place // _MICROSECOND)) * place


def difference_text(figure: Ratio | Spread | None, now: Amount, before: Amount, language: Language) -> str:
    """By how much a figure is more or less, with an arrow that says which."""
    if now == before:
        return "= 0"
    return f"{'▲' if _more(now, before) else '▼'} {size_text(figure, now, before, language)}"


def size_text(figure: Ratio | Spread | None, now: Amount, before: Amount, language: Language) -> str:
    """The size of a difference, so that it is what a reader gets from both figures as they are shown.

    Shares differ by percentage points. What is nothing in the last place shown is said to be less than that.
    """
    if isinstance(now, timedelta) and isinstance(before, timedelta):
        place = max(_place(abs(now)), _place(abs(before)))
        size = abs(_rounded(now, place) - _rounded(before, place))
        return span_text(size, language) if size else f"<{span_text(place, language)}"
    if not isinstance(now, Decimal) or not isinstance(before, Decimal):
        raise TypeError("a rate and a clock are not one figure")
    if isinstance(figure, Ratio) and figure.per == 1:
        points = abs(_one_place(now * 100) - _one_place(before * 100))
        return f"{points or '<0.1'}{'个百分点' if language == 'zh' else ' pp'}"
    places = abs(_two_places(now) - _two_places(before))
    return f"{places:,}" if places else "<0.01"


def _more(now: Amount, before: Amount) -> bool:
    if isinstance(now, Decimal) and isinstance(before, Decimal):
        return now > before
    return isinstance(now, timedelta) and isinstance(before, timedelta) and now > before


def change_text(
    kpi: Kpi, now: Ratio | Spread | None, before: Ratio | Spread | None, then: Period, language: Language
) -> str:
    """What changed, as a sentence with both figures and what they were counted from.

    Args:
        then: the period before.

    Raises:
        ValueError: there is nothing to compare.
    """
    name, when = NAMES[language][kpi], period_text(then, language)
    if isinstance(now, Spread) and isinstance(before, Spread):
        new, old = _spread_texts(kpi, now, language), _spread_texts(kpi, before, language)
        if language == "zh":
            return f"{name}：{new}；{when}：{old}。"
        return f"{name}: {new}; in {when} {old}."
    if not isinstance(now, Ratio) or not isinstance(before, Ratio) or now.value is None or before.value is None:
        raise ValueError(f"{kpi} has nothing to compare with that of {then.name}")
    size = size_text(now, now.value, before.value, language)
    new, old = ratio_text(now, now.value), ratio_text(before, before.value)
    counts = count_text(now, language), count_text(before, language)
    if language == "zh":
        way = "上升" if now.value > before.value else "下降"
        return f"{name}：{new}（{counts[0]}），{when}为{old}（{counts[1]}），{way}{size}。"
    way = "up" if now.value > before.value else "down"
    return f"{name}: {new} ({counts[0]}), {way} {size} from {old} ({counts[1]}) in {when}."


def _spread_texts(kpi: Kpi, spread: Spread, language: Language) -> str:
    one, several, chinese = _THINGS.get(kpi, _TASKS)
    count, (half, most) = len(spread.spans), figure_texts(spread, language)
    if language == "zh":
        return f"中位数{half}，95%不超过{most}（{count:,}{chinese}）"
    return f"median {half}, 95% within {most} ({count:,} {one if count == 1 else several})"


def _one_place(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.1"), ROUND_HALF_EVEN)


def _two_places(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"), ROUND_HALF_EVEN)
