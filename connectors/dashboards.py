"""Grafana's dashboards as code: for the risk department, for who runs the pipeline, and for each department.

python -m connectors.dashboards --write     writes deploy/grafana/dashboards/
python -m connectors.dashboards --check     fails when the files there are not what this release shows

Queries use the metrics of `connectors.metrics` and the rules of `deploy/prometheus/recording.yml` and no others.
"""

import json
import sys

from connectors.generated import Generated
from connectors.grafana import Dashboard, Panel, document

GREEN_RED = ((None, "green"), (1, "red"))

RISK = Dashboard(
    uid="liandong-risk",
    title="Liandong: risk",
    says="What the pipeline warns of, how concentrated books are, and how departments respond.",
    since="24h",
    chosen=(("entity", "label_values(liandong_book_exposure, entity)"),),
    panels=(
        Panel(
            title="Warnings in the last day",
            says="Revisions of live warnings, by severity.",
            kind="stat",
            width=8,
            queries=(('sum by (severity) (increase(liandong_warnings_total{mode="live"}[1d]))', "{{severity}}"),),
        ),
        Panel(
            title="Tasks overdue",
            says="By department. The ladder of escalation goes up by itself.",
            kind="stat",
            width=8,
            colours=GREEN_RED,
            queries=(("sum by (department) (liandong_tasks_overdue)", "{{department}}"),),
        ),
        Panel(
            title="Critical tasks that nobody has acknowledged",
            says="Such as a limit at control level.",
            kind="stat",
            width=8,
            colours=GREEN_RED,
            queries=(('sum by (department) (liandong_tasks_unacknowledged{severity="critical"})', "{{department}}"),),
        ),
        Panel(
            title="Warnings an hour, by rule",
            says="Live ones. A rule that has gone quiet, or cries wolf, shows here before it is a warning of its own.",
            stacked=True,
            queries=(('sum by (detector) (increase(liandong_warnings_total{mode="live"}[1h]))', "{{detector}}"),),
        ),
        Panel(
            title="Rules that are tried out",
            says="Warnings an hour in shadow: recorded, sent to nobody. The challenger of the anomaly model is here.",
            stacked=True,
            queries=(('sum by (detector) (increase(liandong_warnings_total{mode="shadow"}[1h]))', "{{detector}}"),),
        ),
        Panel(
            title="Share of the book, by industry",
            says="Of the entity chosen above; from the first change that the worker has seen since it was started.",
            unit="percentunit",
            queries=(('entity_industry:liandong_industry_share:ratio{entity=~"$entity"}', "{{entity}} {{industry}}"),),
        ),
        Panel(
            title="Industries at a level",
            says="1 observation, 2 warning, 3 control.",
            kind="table",
            colours=((None, "green"), (1, "yellow"), (2, "orange"), (3, "red")),
            queries=(('max by (entity, industry) (liandong_industry_level{entity=~"$entity"}) > 0', ""),),
        ),
        Panel(
            title="How far models have drifted",
            says="Stability index of a week: below 0.10 nothing has moved, above 0.25 a model judges what it has not "
            "learned.",
            colours=((None, "green"), (0.10, "yellow"), (0.25, "red")),
            queries=(("model_feature:liandong_model_drift:psi7d", "{{model}} {{feature}}"),),
        ),
        Panel(
            title="Transactions scored",
            says="By model, an hour.",
            queries=(('sum by (model) (increase(liandong_model_rows_total{feature="score"}[1h]))', "{{model}}"),),
        ),
    ),
)

PIPELINE = Dashboard(
    uid="liandong-pipeline",
    title="Liandong: pipeline",
    says="Whether events are judged and warnings delivered in time, and by whom.",
    since="3h",
    panels=(
        Panel(
            title="Workers",
            says="Those that answer.",
            kind="stat",
            width=6,
            colours=((None, "red"), (1, "green")),
            queries=(('sum(up{job="liandong"}) or vector(0)', "workers"),),
        ),
        Panel(
            title="Broker",
            says="1 while it answers any worker.",
            kind="stat",
            width=6,
            colours=((None, "red"), (1, "green")),
            queries=(("max(liandong_broker_up)", "broker"),),
        ),
        Panel(
            title="Oldest event not judged",
            says="A page goes out above a minute.",
            kind="stat",
            width=6,
            unit="s",
            colours=((None, "green"), (5, "yellow"), (60, "red")),
            queries=(("max(topic:liandong_consumer_lag_seconds:max)", "seconds"),),
        ),
        Panel(
            title="Warnings later than 5 seconds",
            says="Of the last hour; the objective allows 1 of 100.",
            kind="stat",
            width=6,
            unit="percentunit",
            colours=((None, "green"), (0.01, "yellow"), (0.144, "red")),
            queries=(("liandong:warnings_late:ratio_rate1h", "late"),),
        ),
        Panel(
            title="Events a second",
            says="Read, by topic.",
            unit="ops",
            queries=(("topic:liandong_events:rate5m", "{{topic}}"),),
        ),
        Panel(
            title="Not accepted",
            says="Refused, duplicate or late, a second.",
            unit="ops",
            queries=(
                (
                    'sum by (topic, outcome) (rate(liandong_events_total{outcome!="accepted"}[5m]))',
                    "{{topic}} {{outcome}}",
                ),
            ),
        ),
        Panel(
            title="Records that wait",
            says="By topic, over all partitions.",
            queries=(("topic:liandong_consumer_lag_events:sum", "{{topic}}"),),
        ),
        Panel(
            title="Age of what waits",
            says="Since the broker took the newest record judged, while others wait; the worst partition of a topic.",
            unit="s",
            queries=(("topic:liandong_consumer_lag_seconds:max", "{{topic}}"),),
        ),
        Panel(
            title="From event to warning",
            says="From the broker taking the event to it acknowledging the warning.",
            unit="s",
            queries=tuple(
                (
                    f"histogram_quantile({share}, sum by (le) (rate(liandong_warning_delay_seconds_bucket[5m])))",
                    f"{float(share):.0%}",
                )
                for share in ("0.5", "0.95", "0.99")
            ),
        ),
        Panel(
            title="From happening to arrival",
            says="95 of 100 events of a topic have reached the broker by then: how fast the feeds are.",
            unit="s",
            queries=(
                (
                    "histogram_quantile(0.95, sum by (le, topic) (rate(liandong_arrival_delay_seconds_bucket[5m])))",
                    "{{topic}}",
                ),
            ),
        ),
        Panel(
            title="Judging a batch",
            says="95 of 100 batches of a stage are judged and stored within this time.",
            unit="s",
            queries=(
                ("histogram_quantile(0.95, sum by (le, stage) (rate(liandong_stage_seconds_bucket[5m])))", "{{stage}}"),
            ),
        ),
        Panel(
            title="Records in a batch",
            says="On average, by stage: small while there is little to do.",
            queries=(
                (
                    "sum by (stage) (rate(liandong_batch_events_sum[5m])) "
                    "/ sum by (stage) (rate(liandong_batch_events_count[5m]))",
                    "{{stage}}",
                ),
            ),
        ),
        Panel(
            title="Dead letters",
            says="In ten minutes, by topic and reason. A page goes out above 1 of 100 records.",
            stacked=True,
            queries=(("sum by (topic, reason) (increase(liandong_dead_letters_total[10m]))", "{{topic}} {{reason}}"),),
        ),
        Panel(
            title="Keys with a state",
            says="By stage: customers, borrowers, entities, cases.",
            queries=(("sum by (stage) (liandong_state_keys)", "{{stage}}"),),
        ),
        Panel(
            title="State written",
            says="To the changelogs, by stage.",
            unit="Bps",
            queries=(("sum by (stage) (rate(liandong_state_written_bytes_total[5m]))", "{{stage}}"),),
        ),
        Panel(
            title="Processor",
            says="Cores of each worker. A worker uses one at most: more need more workers.",
            queries=(('rate(process_cpu_seconds_total{job="liandong"}[5m])', "{{instance}}"),),
        ),
        Panel(
            title="Memory",
            says="Of each worker, resident.",
            unit="bytes",
            queries=(('process_resident_memory_bytes{job="liandong"}', "{{instance}}"),),
        ),
        Panel(
            title="Behind the clock",
            says="The newest event judged, in event time: a feed that is sent once a day shows a day here.",
            unit="s",
            queries=(("max by (topic) (liandong_watermark_delay_seconds)", "{{topic}}"),),
        ),
        Panel(
            title="States",
            says="Keys and states as stored, by stage; in memory they take several times as much.",
            unit="bytes",
            queries=(("sum by (stage) (liandong_state_bytes)", "{{stage}}"),),
        ),
        Panel(
            title="States still to be read",
            says="After a restart or a rebalance. Partitions are judged once theirs are read.",
            queries=(("sum by (stage) (liandong_changelog_lag_records)", "{{stage}}"),),
        ),
        Panel(
            title="What the last recovery took",
            says="Reading changelogs, by stage; the slowest worker.",
            unit="s",
            queries=(("max by (stage) (liandong_recovery_seconds)", "{{stage}}"),),
        ),
        Panel(
            title="Certificates",
            says="Until the first one ends. A ticket is made below two weeks.",
            kind="stat",
            unit="s",
            queries=(("min by (purpose) (liandong_certificate_expiry_timestamp_seconds) - time()", "{{purpose}}"),),
        ),
        Panel(
            title="Rebalances",
            says="In a quarter of an hour. A ticket is made above ten.",
            queries=(("sum(increase(liandong_rebalances_total[15m]))", "rebalances"),),
        ),
        Panel(
            title="Not on the desk yet",
            says="Records that the projector has still to write, by topic.",
            queries=(("max by (topic) (liandong_projection_lag_records)", "{{topic}}"),),
        ),
        Panel(
            title="To the desk",
            says="95 of 100 records stand in the database so soon after they were sent.",
            unit="s",
            queries=(
                (
                    "histogram_quantile(0.95, sum by (le, topic) (rate(liandong_projection_delay_seconds_bucket[5m])))",
                    "{{topic}}",
                ),
            ),
        ),
        Panel(
            title="Pages of the desk",
            says="95 of 100 are answered within this time, by route.",
            unit="s",
            queries=(
                (
                    "histogram_quantile(0.95, sum by (le, route) (rate(liandong_desk_request_seconds_bucket[10m])))",
                    "{{route}}",
                ),
            ),
        ),
        Panel(
            title="Asked of the desk",
            says="Pages and calls a second, by outcome.",
            unit="ops",
            queries=(("sum by (status) (rate(liandong_desk_request_seconds_count[5m]))", "{{status}}"),),
        ),
        Panel(
            title="Database",
            says="1 while it answers projector and desk.",
            kind="stat",
            colours=((None, "red"), (1, "green")),
            queries=(("min by (process) (liandong_database_up)", "{{process}}"),),
        ),
        Panel(
            title="What runs",
            says="Release, Python and the policy in force of each worker.",
            kind="table",
            queries=(("liandong_build_info", ""),),
        ),
    ),
)

DEPARTMENT = Dashboard(
    uid="liandong-department",
    title="Liandong: a department",
    says="What a department owes, and what it is told.",
    since="24h",
    chosen=(("department", "label_values(liandong_tasks_open, department)"),),
    panels=(
        *(
            Panel(
                title=title,
                says=says,
                kind="stat",
                width=8,
                colours=colours,
                queries=((f'sum(liandong_tasks_{what}{{department=~"$department"}}) or vector(0)', "tasks"),),
            )
            for title, says, what, colours in (
                ("Open", "Tasks not completed yet.", "open", None),
                ("Overdue", "Past a deadline that was frozen when the task was made.", "overdue", GREEN_RED),
                ("Not acknowledged", "Nobody has said that it is seen.", "unacknowledged", GREEN_RED),
            )
        ),
        Panel(
            title="Tasks over time",
            says="Open, and of these overdue.",
            queries=(
                ('sum by (department) (liandong_tasks_open{department=~"$department"})', "{{department}} open"),
                ('sum by (department) (liandong_tasks_overdue{department=~"$department"})', "{{department}} overdue"),
            ),
        ),
        Panel(
            title="Not acknowledged, by severity",
            says="The graver, the sooner the deadline.",
            stacked=True,
            queries=(
                (
                    'sum by (severity) (liandong_tasks_unacknowledged{department=~"$department"})',
                    "{{severity}}",
                ),
            ),
        ),
        *(
            Panel(
                title=title,
                says=says,
                unit="s",
                queries=tuple(
                    (
                        f"histogram_quantile({share}, sum by (le, department) "
                        f'(rate({name}_bucket{{department=~"$department"}}[1d])))',
                        f"{{{{department}}}} {float(share):.0%}",
                    )
                    for share in ("0.5", "0.95")
                ),
            )
            for title, says, name in (
                ("To acknowledgement", "From a task being made, of the last day.", "liandong_acknowledgement_seconds"),
                ("To completion", "From acknowledgement, of the last day.", "liandong_completion_seconds"),
            )
        ),
        Panel(
            title="Told in an hour",
            says="Warnings that went to the department's own topic.",
            width=24,
            queries=(
                (
                    'sum by (topic) (increase(liandong_messages_total{topic=~"warnings.($department)"}[1h]))',
                    "{{topic}}",
                ),
            ),
        ),
    ),
)

DASHBOARDS = (RISK, PIPELINE, DEPARTMENT)


def generate() -> dict[str, str]:
    """Every file of `deploy/grafana/dashboards` by its name, with stable contents."""
    return {f"{one.uid}.json": json.dumps(document(one), indent=2, ensure_ascii=False) + "\n" for one in DASHBOARDS}


FILES = Generated("connectors.dashboards", __doc__, "grafana/dashboards", generate)

if __name__ == "__main__":
    sys.exit(FILES.main())
