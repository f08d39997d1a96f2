"""Why a transaction is strange: the features that drove its score, beside the customer's own normal and the peers'.

A feature drove the score as far as the score falls when that feature alone is put to what is normal: nothing away from
the customer's own habit, or, where a feature is no difference from a habit, the middle of all transactions that the
model was fitted on.
"""

from collections.abc import Sequence

import numpy as np

from models.anomaly.features import FEATURES, Feature
from models.anomaly.model import Floats, Model
from models.risk_warning import Reason

# Features that are zero where a customer does just what it usually does.
AGAINST_HABIT = frozenset(
    {"amount_vs_habit", "day_total_vs_habit", "tempo_day", "payees_fan", "payers_fan", "balance_shift"}
)
MOST_REASONS = 4


def normal(model: Model) -> Floats:
    """What each feature is where nothing is strange about it."""
    return np.array(
        [0.0 if one.id in AGAINST_HABIT else median for one, median in zip(FEATURES, model.medians, strict=True)]
    )


def drivers(model: Model, row: Sequence[float]) -> list[tuple[Feature, float]]:
    """The features that drove a row's score, with how far it falls without each; the greatest fall first.

    Raises:
        ValueError: as `Model.score`.
    """
    matrix = np.tile(np.asarray(row, dtype=np.float64), (len(FEATURES) + 1, 1))
    usual = normal(model)
    for place in range(len(FEATURES)):
        matrix[place, place] = usual[place]
    scores = model.score(matrix)
    falls = [(one, float(scores[-1] - scores[place])) for place, one in enumerate(FEATURES)]
    return sorted((one for one in falls if one[1] > 0), key=lambda one: -one[1])


def reasons(model: Model, row: Sequence[float], score: float, threshold: float, name: str) -> tuple[Reason, ...]:
    """The score beside its threshold, then what drove it, at most `MOST_REASONS` features.

    Args:
        score: of the row.
        name: hash of the model.
    """
    first = Reason(
        code="anomaly_score",
        observed=f"{score:.4f}",
        threshold=f"{threshold:.4f}",
        unit="score",
        text_zh=f"模型{name[:8]}认为该交易与客户平常行为明显不同：异常分{score:.4f}，预警线{threshold:.4f}。",
        text_en=f"Model {name[:8]} finds the transaction strange beside its customer's habit: it scores {score:.4f}, "
        f"a warning is due from {threshold:.4f}.",
    )
    usual = normal(model)
    return (first, *(_reason(model, feature, row, usual) for feature, _ in drivers(model, row)[:MOST_REASONS]))


def _reason(model: Model, feature: Feature, row: Sequence[float], normals: Floats) -> Reason:
    place = FEATURES.index(feature)
    value, usual, peers = row[place], float(normals[place]), model.card.reference[place]
    low = value < usual
    edge = peers.low if low else peers.high
    own = feature.id in AGAINST_HABIT
    whose_zh, whose_en = ("客户自身平常", "the customer's own normal") if own else ("常见值", "usual")
    side_zh, side_en = ("不低于", "at least") if low else ("不超过", "at most")
    return Reason(
        code=feature.id,
        observed=f"{value:.2f}",
        threshold=f"{edge:.2f}",
        unit=feature.unit,
        text_zh=f"{feature.text_zh}：{value:.2f}（{whose_zh}为{usual:.2f}，同业客户95%的交易{side_zh}{edge:.2f}）。",
        text_en=f"{feature.text_en[0].upper()}{feature.text_en[1:]}: {value:.2f} {feature.unit} "
        f"({whose_en} is {usual:.2f}, 95 of 100 transactions of all customers are {side_en} {edge:.2f}).",
    )
