"""Metrics: names by the rule, counts that add up, a page on loopback."""

import http.client
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from connectors.errors import LiandongError
from connectors.metrics import METRICS, Metrics, serve_metrics
from models.messages import PortfolioEntry
from models.policy import Level
from models.stage import Answered, Bins, Owed
from tests.response import warning as warning_of

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)


def test_names_follow_the_rule_and_labels_name_no_person() -> None:
    for name, metric in METRICS.items():
        assert re.fullmatch(r"liandong(_[a-z]+)+", name)
        assert name.endswith("_total") == (metric.kind == "counter")
        assert metric.help.endswith(".") or name == "liandong_build_info"
        assert not set(metric.labels) & {"customer", "customer_id", "account", "borrower", "employee", "subject"}
        assert bool(metric.buckets) == (metric.kind == "histogram")


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_every_record_has_one_outcome() -> None:
    metrics = Metrics()
    metrics.refused("customers", "transactions", "missing")
    metrics.refused("customers", "transactions", "missing")
    metrics.batch("customers", "transactions", records=10, skipped=3, seconds=0.2)
    metrics.batch("customers", "transactions", records=4, skipped=0, seconds=0.1)
    outcomes = {
        outcome: value(metrics, "liandong_events_total", topic="transactions", outcome=outcome)
        for outcome in ("accepted", "refused", "duplicate")
    }
    assert outcomes == {"accepted": 9, "refused": 2, "duplicate": 3}
    assert value(metrics, "liandong_dead_letters_total", topic="transactions", reason="missing") == 2
    assert value(metrics, "liandong_batch_events_sum", stage="customers") == 14


def test_a_refusal_of_a_batch_under_way_is_not_taken_from_it_twice() -> None:
    metrics = Metrics()
    for _ in range(3):
        metrics.refused("customers", "transactions", "missing")
    metrics.batch("customers", "transactions", records=1, skipped=0, seconds=0.1)
    metrics.batch("customers", "transactions", records=5, skipped=0, seconds=0.1)
    assert value(metrics, "liandong_events_total", topic="transactions", outcome="accepted") == 3


def test_warnings_and_their_delay() -> None:
    metrics = Metrics()
    large = warning_of(detector="large_transaction", severity="low")
    metrics.warning(large, NOON, NOON + timedelta(seconds=0.2))
    metrics.warning(large, NOON, NOON - timedelta(seconds=1))  # two clocks
    metrics.warning(warning_of(detector="industry_concentration", severity="high"), None, NOON)
    assert value(metrics, "liandong_warnings_total", detector="large_transaction", severity="low", mode="live") == 2
    assert value(metrics, "liandong_warning_delay_seconds_sum", detector="large_transaction") == pytest.approx(0.2)
    assert value(metrics, "liandong_warning_delay_seconds_count", detector="industry_concentration") is None


def test_gauges_are_gone_with_their_partition() -> None:
    metrics = Metrics()
    metrics.lag("transactions", 1, 7, 2.5, 90.0)
    metrics.lag("reports", 1, 0, 0.0, None)
    assert value(metrics, "liandong_consumer_lag_seconds", topic="transactions", partition="1") == 2.5
    assert value(metrics, "liandong_watermark_delay_seconds", topic="transactions", partition="1") == 90
    assert value(metrics, "liandong_watermark_delay_seconds", topic="reports", partition="1") is None
    metrics.state("customers", 1, 3, 700)
    metrics.recovering("customers", 1, 20)
    assert value(metrics, "liandong_state_bytes", stage="customers", partition="1") == 700
    assert value(metrics, "liandong_changelog_lag_records", stage="customers", partition="1") == 20
    metrics.forget_partition(["transactions", "reports"], "customers", 1)
    for name in ("liandong_state_bytes", "liandong_changelog_lag_records"):
        assert value(metrics, name, stage="customers", partition="1") is None
    assert value(metrics, "liandong_watermark_delay_seconds", topic="transactions", partition="1") is None
    assert value(metrics, "liandong_consumer_lag_events", topic="transactions", partition="1") is None
    assert value(metrics, "liandong_consumer_lag_seconds", topic="transactions", partition="1") is None
    assert value(metrics, "liandong_state_keys", stage="customers", partition="1") is None


def test_rebalances_and_the_broker() -> None:
    metrics = Metrics()
    metrics.rebalanced(3.5)
    metrics.rebalanced(0.5)
    metrics.broker(up=True)
    assert value(metrics, "liandong_rebalances_total") == 2
    assert value(metrics, "liandong_rebalance_seconds") == 0.5
    assert value(metrics, "liandong_broker_up") == 1
    metrics.broker(up=False)
    assert value(metrics, "liandong_broker_up") == 0
    assert (value(metrics, "process_start_time_seconds") or 0) > 0


def test_tasks_are_summed_over_the_partitions_that_are_held() -> None:
    metrics = Metrics()
    late = Owed("credit", "critical", overdue=True, acknowledged=False)
    metrics.tasks(0, {late: 2, Owed("operations", "low", overdue=False, acknowledged=True): 1})
    metrics.tasks(1, {late: 1})
    assert value(metrics, "liandong_tasks_open", department="credit") == 3
    assert value(metrics, "liandong_tasks_overdue", department="credit") == 3
    assert value(metrics, "liandong_tasks_unacknowledged", department="credit", severity="critical") == 3
    assert value(metrics, "liandong_tasks_open", department="operations") == 1
    assert value(metrics, "liandong_tasks_overdue", department="operations") is None
    metrics.lag("actions", 0, 0, 0.0, None)
    metrics.state("cases", 0, 3, 9)
    metrics.forget_partition(["actions"], "cases", 0)
    assert value(metrics, "liandong_tasks_open", department="credit") == 1
    assert value(metrics, "liandong_tasks_open", department="operations") is None
    metrics.tasks(1, {})
    assert value(metrics, "liandong_tasks_open", department="credit") is None


def test_the_page_shows_the_catalogue_and_its_port_is_free_afterwards() -> None:
    metrics = Metrics()
    metrics.build("0.1.0", "cn-2026.1")
    metrics.book(0, line("BANK1", "K", "25"))
    metrics.emitted("warnings", 2)
    metrics.stored("customers", 5, 500)
    with serve_metrics("127.0.0.1", 0, metrics.registry) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", "/metrics")
        page = connection.getresponse().read().decode()
        connection.close()
        with pytest.raises(LiandongError, match="LIANDONG_METRICS_PORT"):
            serve_metrics("127.0.0.1", server.port, metrics.registry)
        port = server.port
    assert 'liandong_industry_exposure{entity="BANK1",industry="K"} 25.0' in page
    assert 'policy_version="cn-2026.1"' in page
    for metric in METRICS.values():
        assert f"# TYPE {metric.name}" in page
    serve_metrics("127.0.0.1", port, metrics.registry).close()


def test_how_a_models_rows_lie_is_counted_by_bin() -> None:
    metrics = Metrics()
    metrics.binned([Bins("0e8ae5f2ab34cd56", "score", (0.25, 0.75), (3, 0))])
    metrics.binned([Bins("0e8ae5f2ab34cd56", "score", (0.25, 0.75), (2, 1))])
    labels = {"model": "0e8ae5f2ab34", "feature": "score"}
    assert [value(metrics, "liandong_model_rows_total", **labels, bin=one) for one in "01"] == [5, 1]
    assert [value(metrics, "liandong_model_expected_ratio", **labels, bin=one) for one in "01"] == [0.25, 0.75]


def line(entity: str, member: str, exposure: str, level: Level | None = None, **fields: Any) -> PortfolioEntry:
    values: dict[str, Any] = dict.fromkeys(("limit", "hhi", "effective_number", "cr4", "net_capital"))
    values |= {"dimension": "industry", "total": Decimal(100), "loans": 3, "share": Decimal(exposure) / 100}
    values |= {"currency": "CNY", "as_of": NOON, "policy_version": "cn-2026.1"}
    return PortfolioEntry(entity=entity, member=member, exposure=Decimal(exposure), level=level, **values | fields)


def test_books_are_shown_by_industry_until_their_partition_goes() -> None:
    metrics = Metrics()
    metrics.book(0, line("BANK1", "K", "25", "control"))
    metrics.book(0, line("BANK1", "C", "30", total=Decimal(120)))
    metrics.book(1, line("BANK2", "K", "7", "observation"))
    metrics.book(0, line("BANK1", "B7", "99", dimension="borrower", total=Decimal(120)))
    metrics.book(1, line("drill~spring~BANK2", "K", "99"))
    assert value(metrics, "liandong_book_exposure", entity="BANK1") == 120
    assert value(metrics, "liandong_industry_exposure", entity="BANK1", industry="K") == 25
    assert value(metrics, "liandong_industry_level", entity="BANK1", industry="K") == 3
    assert value(metrics, "liandong_industry_level", entity="BANK1", industry="C") == 0
    assert value(metrics, "liandong_industry_level", entity="BANK2", industry="K") == 1
    assert value(metrics, "liandong_industry_exposure", entity="BANK1", industry="B7") is None
    assert value(metrics, "liandong_book_exposure", entity="drill~spring~BANK2") is None
    metrics.state("portfolio", 0, 1, 9)
    metrics.forget_partition([], "portfolio", 0)
    assert value(metrics, "liandong_book_exposure", entity="BANK1") is None
    assert value(metrics, "liandong_industry_exposure", entity="BANK1", industry="K") is None
    assert value(metrics, "liandong_industry_level", entity="BANK2", industry="K") == 1


def test_late_events_are_counted_once_more() -> None:
    metrics = Metrics()
    metrics.batch("customers", "transactions", records=5, skipped=0, seconds=0.1)
    metrics.late({"transactions": 2, "reports": 0})
    assert value(metrics, "liandong_events_total", topic="transactions", outcome="accepted") == 5
    assert value(metrics, "liandong_events_total", topic="transactions", outcome="late") == 2
    assert value(metrics, "liandong_events_total", topic="reports", outcome="late") is None


def test_delays_name_their_warnings_for_those_who_ask() -> None:
    warning = warning_of(detector="large_transaction", severity="low")
    for exemplars in (False, True):
        metrics = Metrics(exemplars=exemplars)
        metrics.warning(warning, NOON, NOON + timedelta(seconds=0.2))
        named = f'# {{warning_id="{warning.warning_id}"}} 0.2'
        assert (named in openmetrics.generate_latest(metrics.registry).decode()) is exemplars
        assert warning.warning_id not in generate_latest(metrics.registry).decode()


def test_recovery_by_stage() -> None:
    metrics = Metrics()
    metrics.recovered("customers", 3.5)
    assert value(metrics, "liandong_recovery_seconds", stage="customers") == 3.5


def test_the_clocks_of_feeds_and_of_people() -> None:
    metrics = Metrics()
    metrics.arrived("transactions", [0.25, 4.0, -1.0])  # two clocks
    metrics.answered([Answered("acknowledged", "credit", 600.0), Answered("done", "credit", 7200.0)])
    assert value(metrics, "liandong_arrival_delay_seconds_sum", topic="transactions") == 4.25
    assert value(metrics, "liandong_arrival_delay_seconds_count", topic="transactions") == 3
    assert value(metrics, "liandong_acknowledgement_seconds_sum", department="credit") == 600
    assert value(metrics, "liandong_completion_seconds_sum", department="credit") == 7200
