"""anomaly a second time: features of the whole history at once, the models' scores, and the days that reach them."""

import polars as pl

from models.anomaly.batch import feature_frame
from models.anomaly.features import FEATURES
from models.oracle.frames import as_warnings, by_span, no_warnings, real, with_days, with_window_end
from models.policy import Policy, PolicyHistory
from models.risk_warning import severity_rank


def anomalies(
    transactions: pl.DataFrame | None, policies: PolicyHistory
) -> dict[str, tuple[pl.DataFrame, pl.DataFrame]]:
    """By detector, the champion's and the challenger's: warnings, severity as a rank; (warning_id, subject, day).

    Args:
        transactions: canonical, in arrival order; those of drills are left out.
        policies: with the models that its versions name.

    Raises:
        KeyError: a model is not there.
    """
    rows = real(feature_frame(transactions, policies))
    found = {}
    for detector, which in (("anomaly", "model"), ("anomaly_challenger", "challenger")):

        def judge(part: pl.DataFrame, policy: Policy, detector: str = detector, which: str = which) -> pl.DataFrame:
            rule = policy.detectors.anomaly
            name: str | None = getattr(rule, which)
            if rule.mode == "off" or name is None or not part.height:
                return no_warnings().with_columns(pl.lit(None, dtype=pl.Date).alias("day"))
            model = policies.models[name]
            scores = model.score(part.select(one.id for one in FEATURES).to_numpy())
            reached = part.with_columns(pl.Series("score", scores)).filter(
                pl.col("score") >= model.card.threshold(float(rule.budget.value))
            )
            days = reached.group_by("customer_id", "day").agg(pl.col("event_time").max(), pl.col("score").max())
            frame = with_window_end(days, policy).with_columns(
                pl.format("customer:{}", "customer_id").alias("subject"),
                pl.col("day").dt.to_string("%Y-%m-%d").alias("anchor"),
                pl.lit(severity_rank(rule.severity)).alias("rank"),
                pl.col("score").map_elements(lambda score: f"{score:.4f}", return_dtype=pl.String).alias("observed"),
            )
            return as_warnings(frame, detector, rule).with_columns(frame["day"])

        found[detector] = with_days(by_span(rows, policies, judge))
    return found
