"""What is measured of each transaction before it is judged: how it stands beside the customer's own habit.

A transaction counts as if it came at its effective time: its own, or the latest of those its customer sent before it.
So a late one counts as if it came just now, and no feature depends on other customers, batches or restarts. Today is
the bank's day of the effective time; the habit is the 30 days before it. What the bank made counts in nothing.

Amounts stand in base currency, at the rates of the transaction's own day. A decade is a factor of ten: the level of an
amount is the thousandth of a decade nearest to 1000 log10(1 + amount), so that levels can be summed exactly. A customer
starts with the habit of five transactions around 1,000 each way, which its own soon outweigh.

`models/anomaly/batch.py` computes the same for a whole history.
"""

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from math import log2, log10
from typing import Final

from msgspec import Struct, field

from models.anomaly.habit import (
    BIN_HOURS,
    BINS,
    CASH,
    CROSS_BORDER,
    HABIT_DAYS,
    IN,
    OUT,
    PARTIES,
    Day,
    Dealings,
    Habit,
)
from models.events import Transaction
from models.money import UnknownRate
from models.policy import Policy


class Feature(Struct, frozen=True):
    """One number of the row.

    Args:
        id: its name in frames and models.
        unit: what it counts.
        window: which transactions it looks at.
        text_zh, text_en: what it says of the transaction, for people; true of high and of low values.
    """

    id: str
    unit: str
    window: str
    text_zh: str
    text_en: str


_HABIT, _TODAY, _BOTH = "30 days before today", "today", "today and the 30 days before"

FEATURE_VERSION = 1  # raised when a feature changes its meaning: a model judges rows of its own version only

FEATURES: Final = (
    Feature(
        "amount_vs_habit",
        "standard deviations",
        _HABIT,
        "金额偏离该客户平常水平",
        "amount away from the customer's usual level",
    ),
    Feature(
        "amount_vs_largest",
        "decades",
        _HABIT,
        "金额与近30日最大一笔的差距",
        "amount against the largest of the last 30 days",
    ),
    Feature(
        "day_total_vs_habit",
        "decades",
        _BOTH,
        "当日累计金额偏离平常日均",
        "the day's total away from the daily average",
    ),
    Feature(
        "tempo_day",
        "decades",
        _BOTH,
        "当日交易笔数偏离平常日均",
        "the day's number of transactions away from the daily average",
    ),
    Feature(
        "tempo_hour",
        "log2(1 + transactions)",
        "the last hour",
        "一小时内的交易笔数",
        "number of transactions within an hour",
    ),
    Feature("hour_unusual", "bits", _HABIT, "该客户少见的交易时段", "a time of day rare for the customer"),
    Feature("rest_day", "0 or 1", "the transaction", "非工作日交易", "a day that is no working day"),
    Feature("channel_unusual", "bits", _HABIT, "该客户少用的渠道", "a channel rare for the customer"),
    Feature(
        "cash_unusual",
        "bits",
        _HABIT,
        "该客户少用的收付方式（现金或转账）",
        "a way to pay, cash or transfer, rare for the customer",
    ),
    Feature(
        "cross_border_unusual",
        "bits",
        _HABIT,
        "该客户少见的资金范围（跨境或境内）",
        "a reach, cross-border or domestic, rare for the customer",
    ),
    Feature("new_counterparty", "0 or 1", _BOTH, "新的交易对手", "a new counterparty"),
    Feature("new_payees", "log2(1 + counterparties)", _BOTH, "当日新收款方数量", "number of new payees on the day"),
    Feature(
        "payees_fan",
        "log2 of a ratio",
        _BOTH,
        "当日收款方数量偏离平常日均",
        "the day's number of payees away from the daily average",
    ),
    Feature(
        "payers_fan",
        "log2 of a ratio",
        _BOTH,
        "当日付款方数量偏离平常日均",
        "the day's number of payers away from the daily average",
    ),
    Feature(
        "balance_shift",
        "-2 to 2",
        _BOTH,
        "当日收支对比偏离平常",
        "the day's balance of money in and out away from the usual one",
    ),
    Feature(
        "pass_through",
        "0 to 1",
        "today and the day before",
        "两日内资金快进快出",
        "money in and out again within two days",
    ),
    Feature("since_last", "log2(1 + days)", _HABIT, "距上一笔交易的天数", "days since the transaction before"),
    Feature("roundness", "trailing zeros, 6 at most", "the transaction", "金额的整数程度", "roundness of the amount"),
)

_BINS, _CHANNELS = 24 // BIN_HOURS, 8
_MOST_ZEROS = 6
_HOUR, _HUNDRED = timedelta(hours=1), Decimal(100)
_multiply = Context(prec=80).multiply  # exact: an amount has 19 digits at most, and a rate not many more


class AnomalyState(Struct):
    """What is remembered of one customer; bounded by its traffic in 31 days.

    Args:
        newest: the effective time of its last transaction.
        hour: effective times of those within the hour up to it.
        today: sums of the day of the last transaction.
        habit: the days before it.
        dealings: its counterparties in these days.
    """

    newest: datetime | None = None
    hour: list[datetime] = field(default_factory=list)
    today: Day = field(default_factory=Day)
    habit: Habit = field(default_factory=Habit)
    dealings: Dealings = field(default_factory=Dealings)


def features(state: AnomalyState, event: Transaction, policy: Policy) -> tuple[float, ...]:
    """Take a customer's transaction into its state, in the order of arrival; return its row, in order of `FEATURES`.

    Args:
        policy: in force at the transaction's own time.

    Raises:
        models.money.UnknownRate: its currency has no rate; the state is unchanged.
        ValueError: the bank made it; the state is unchanged.
    """
    if event.origin != "customer":
        raise ValueError(f"{event.event_id} was made by the bank: it is no behaviour of its customer's")
    rate, calendar = policy.rates.get(event.currency), policy.bank_calendar
    if rate is None:
        raise UnknownRate(event.currency)
    value = _multiply(event.amount, rate)
    cents = round(_multiply(value, _HUNDRED))
    level = round(1000 * log10(1 + float(value)))
    own_day = calendar.day_of(event.event_time)
    time_bin = event.event_time.astimezone(calendar.zone).hour // BIN_HOURS
    channel = event.channel or ""
    days_since = _advance(state, event.event_time.astimezone(UTC), own_day)

    today, habit, dealings = state.today, state.habit.sums, state.dealings
    direction = OUT if event.direction == "out" else IN
    counts, usual = today.counts, habit.counts
    today.take(direction, cents, level)
    today.channels[channel] = today.channels.get(channel, 0) + 1
    counts[BINS + time_bin] += 1
    counts[CASH] += event.method == "cash"
    counts[CROSS_BORDER] += event.cross_border
    identity, new = event.counterparty and event.counterparty.identity, False
    if identity:
        new, first = dealings.meet(identity, direction)
        counts[PARTIES + direction] += first

    count = habit.count
    same_method = usual[CASH] if event.method == "cash" else count - usual[CASH]
    same_reach = usual[CROSS_BORDER] if event.cross_border else count - usual[CROSS_BORDER]
    money, usual_money = today.money(), habit.money()
    return (
        habit.deviations(level, direction),
        habit.above_greatest(level, direction) / 1000,
        log10(1 + money[direction] / 100) - log10(1 + usual_money[direction] / HABIT_DAYS / 100),
        log10((1 + today.count) / (1 + count / HABIT_DAYS)),
        log2(1 + len(state.hour)),
        -log2((usual[BINS + time_bin] + 1) / (count + _BINS)),
        0.0 if calendar.is_working_day(own_day) else 1.0,
        -log2((habit.channels.get(channel, 0) + 1) / (count + _CHANNELS)),
        -log2((same_method + 1) / (count + 2)),
        -log2((same_reach + 1) / (count + 2)),
        1.0 if new else 0.0,
        log2(1 + dealings.new_payees),
        log2((1 + counts[PARTIES + OUT]) / (1 + usual[PARTIES + OUT] / HABIT_DAYS)),
        log2((1 + counts[PARTIES + IN]) / (1 + usual[PARTIES + IN] / HABIT_DAYS)),
        _balance(money) - _balance(usual_money),
        _passed_through(money, state.habit.day(today.number - 1)),
        log2(1 + min(days_since, HABIT_DAYS)),
        _roundness(event.amount),
    )


def forget(state: AnomalyState, before: date) -> None:
    """Drop the days before `before`; changes nothing while no transaction can come that has them in its habit."""
    number = before.toordinal()
    if 0 < state.today.number < number:
        # Its number stays: the next transaction asks how long ago it was.
        _close(state, state.today.number)
        state.hour.clear()
    state.habit.forget(number)
    state.dealings.forget(number)


def _advance(state: AnomalyState, instant: datetime, day: date) -> int:
    """Go on to the effective time of a transaction: days from the last one's day to its own."""
    if state.newest is None or instant > state.newest:
        state.newest = instant
        number = day.toordinal()
    else:
        number = state.today.number
    hour = state.hour
    hour.append(state.newest)
    if hour[0] <= state.newest - _HOUR:
        del hour[: bisect_right(hour, state.newest - _HOUR)]
    last = state.today.number
    if number == last:
        return 0
    _close(state, number)
    state.habit.forget(number - HABIT_DAYS)
    state.dealings.forget(number - HABIT_DAYS)
    return number - last if last else 0


def _close(state: AnomalyState, number: int) -> None:
    """End today; go on with an empty day of this number."""
    state.habit.close(state.today)
    state.dealings.close(state.today.number)
    state.today = Day(number=number)


def _balance(money: tuple[int, int]) -> float:
    """1 where all of it came in, -1 where all of it went out."""
    total = money[IN] + money[OUT]
    return (money[IN] - money[OUT]) / total if total else 0.0


def _passed_through(money: tuple[int, int], yesterday: Day | None) -> float:
    out, into = money
    if yesterday is not None:
        earlier = yesterday.money()
        out, into = out + earlier[OUT], into + earlier[IN]
    least, most = (out, into) if out < into else (into, out)
    return least / most if most else 0.0


def _roundness(amount: Decimal) -> float:
    whole, zeros = int(amount), 0
    if whole != amount:
        return 0.0
    while zeros < _MOST_ZEROS and whole % 10 == 0:
        whole //= 10
        zeros += 1
    return float(zeros)
