"""A drift report as one page: how far each feature lies from what the model was trained on, in all and by week."""

from collections.abc import Mapping
from datetime import date

from msgspec import Struct

from connectors.reports.page import template
from models.anomaly.drift import DRIFTED, SHIFTING, Counts, Stability, drifts, references
from models.anomaly.features import FEATURES
from models.anomaly.model import Card
from models.response.pack_text import Language

HEIGHT, BIN, WEEK, TALLEST = 40, 12, 7, 0.5  # of a drawing: its height, the width of a bar, the index that fills it
MOST_WEEKS = 52

WORDS: dict[Language, dict[str, str]] = {
    "en": {
        "title": "Drift of the anomaly model",
        "lead": "How far the transactions of this history lie from those that the model was trained on, as population "
        "stability index (PSI): below {shifting} nothing has moved, above {drifted} the model judges what it has not "
        "learned: train it anew, after finding out why.",
        "model": "Model",
        "trained": "Fitted on",
        "history": "Held against it",
        "rows": "{count} transactions of customers",
        "refused": "{count} rows could not be scored",
        "feature": "Feature",
        "index": "PSI",
        "state": "State",
        "bins": "Then (outlined) and now, by tenths of then",
        "weeks": "PSI by week",
        "week": "week of {day}: {index}",
        "score": "the model's score",
        "worst": "Farthest: {name}, {index}.",
        "stable": "stable",
        "shifting": "shifting",
        "drifted": "drifted",
        "to": "to",
        "fewer": "Weeks with fewer than {least} transactions are not drawn: their index is chance.",
    },
    "zh": {
        "title": "异常模型漂移报告",
        "lead": "本段历史的交易与模型训练时的交易相差多远，以群体稳定性指数（PSI）衡量：低于{shifting}无变化，"
        "高于{drifted}说明模型在判断其未学过的情形：查明原因后重新训练。",
        "model": "模型",
        "trained": "训练区间",
        "history": "比对区间",
        "rows": "客户交易{count}笔",
        "refused": "{count}笔无法评分",
        "feature": "特征",
        "index": "PSI",
        "state": "状态",
        "bins": "训练时（轮廓）与现在，按训练时的十分位",
        "weeks": "按周PSI",
        "week": "{day}当周：{index}",
        "score": "模型评分",
        "worst": "变化最大：{name}，{index}。",
        "stable": "稳定",
        "shifting": "变化中",
        "drifted": "已漂移",
        "to": "至",
        "fewer": "交易不足{least}笔的周不画出：其指数只是偶然。",
    },
}


class Bin(Struct, frozen=True):
    """Heights of one bin's bars, from 0 to `HEIGHT`."""

    x: int
    then: float
    now: float


class Week(Struct, frozen=True):
    x: int
    height: float
    state: Stability
    text: str


class Row(Struct, frozen=True):
    """A feature, or the score, as it is shown."""

    name: str
    text: str
    index: str
    state: Stability
    bins: tuple[Bin, ...]
    weeks: tuple[Week, ...]


def page(
    name: str,
    card: Card,
    weeks: Mapping[date, Counts],
    whole: Counts,
    days: tuple[date, date],
    least: int,
    language: Language,
) -> str:
    """The page.

    Args:
        name: hash of the model.
        weeks: by their Monday, those with at least `least` rows.
        whole: of all rows; there is at least one.
        days: first and last of the history.
    """
    words = WORDS[language]
    rows = _rows(card, weeks, whole, language)
    worst = max(rows, key=lambda one: float(one.index))
    return template("drift.html.j2").render(
        words=words,
        language=language,
        name=name,
        kind=card.kind,
        rows=rows,
        lead=words["lead"].format(shifting=f"{SHIFTING:.2f}", drifted=f"{DRIFTED:.2f}"),
        trained=_span(card.fitted, words),
        history=_span(days, words),
        count=words["rows"].format(count=f"{whole.rows:,}"),
        refused=words["refused"].format(count=f"{whole.refused:,}") if whole.refused else "",
        worst=words["worst"].format(name=worst.text, index=worst.index),
        fewer=words["fewer"].format(least=f"{least:,}"),
        height=HEIGHT,
        bin_width=BIN,
        week_width=WEEK,
        limit=HEIGHT * (1 - DRIFTED / TALLEST),
    )


def _rows(card: Card, weeks: Mapping[date, Counts], whole: Counts, language: Language) -> list[Row]:
    texts = {one.id: one.text_zh if language == "zh" else one.text_en for one in FEATURES}
    newest = list(weeks.items())[-MOST_WEEKS:]
    by_week = {day: drifts(card, counts) for day, counts in newest}
    found = []
    for number, (drift, reference, now) in enumerate(
        zip(drifts(card, whole), references(card), whole.bins, strict=True)
    ):
        before, after = sum(reference.counts), sum(now)
        shares = [(old / before, new / after) for old, new in zip(reference.counts, now, strict=True)]
        highest = max(max(pair) for pair in shares)
        bins = (
            Bin(place * BIN, round(HEIGHT * then / highest, 1), round(HEIGHT * new / highest, 1))
            for place, (then, new) in enumerate(shares)
        )
        drawn = (
            _week(place, day, found_then[number].index, found_then[number].stability, language)
            for place, (day, found_then) in enumerate(by_week.items())
        )
        text = texts.get(drift.name, WORDS[language]["score"])
        found.append(Row(drift.name, text, f"{drift.index:.3f}", drift.stability, tuple(bins), tuple(drawn)))
    return found


def _week(place: int, day: date, index: float, state: Stability, language: Language) -> Week:
    height = round(HEIGHT * min(index, TALLEST) / TALLEST, 1)
    text = WORDS[language]["week"].format(day=day.isoformat(), index=f"{index:.3f}")
    return Week(place * WEEK, max(1.0, height), state, text)


def _span(days: tuple[date, date], words: Mapping[str, str]) -> str:
    return f"{days[0]} {words['to']} {days[1]}"
