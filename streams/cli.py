"""The `liandong` command."""

from typing import Annotated

import typer

from connectors.settings import describe
from streams.commands import (
    archive,
    asking,
    book,
    cases,
    dead_letters,
    demo,
    desk,
    drift,
    drill,
    feeding,
    filing,
    lookahead,
    mutes,
    plan,
    policies,
    promotion,
    rates,
    reevaluate,
    report,
    reports,
    running,
    store,
    stress,
    train,
    watch_list,
)

app = typer.Typer(
    name="liandong",
    help="Liandong (联动): a bank's posts act together on risk, as one event-driven pipeline on Kafka.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

RUN, FEED, ASK, KEEP = "Run", "Feed", "Ask", "Keep"

app.command("demo", rich_help_panel=RUN)(demo.demo)
app.command("broker", rich_help_panel=RUN)(running.broker)
app.command("topics", rich_help_panel=RUN)(running.topics)
app.command("worker", rich_help_panel=RUN)(running.worker)
app.command("project", rich_help_panel=RUN)(store.project)
app.command("desk", rich_help_panel=RUN)(desk.desk)
app.command("plan", rich_help_panel=RUN)(plan.plan)
app.command("replay", rich_help_panel=FEED)(feeding.replay)
app.command("simulate", rich_help_panel=FEED)(feeding.simulation)
app.command("backtest", rich_help_panel=ASK)(asking.backtest)
app.command("verify", rich_help_panel=ASK)(asking.verify)
app.command("reevaluate", rich_help_panel=ASK)(reevaluate.reevaluate)
app.command("book", rich_help_panel=ASK)(book.book)
app.command("lookahead", rich_help_panel=ASK)(lookahead.lookahead)
app.command("stress", rich_help_panel=ASK)(stress.stress)
app.command("reports", rich_help_panel=ASK)(reports.reports)
app.command("report", rich_help_panel=ASK)(report.report)
app.command("train", rich_help_panel=ASK)(train.training)
app.command("drift", rich_help_panel=ASK)(drift.drift)
app.add_typer(promotion.app, name="models", rich_help_panel=ASK)
app.command("concentration", rich_help_panel=ASK)(asking.concentration)
app.add_typer(cases.app, name="case", rich_help_panel=KEEP)
app.command("audit", rich_help_panel=KEEP)(cases.audit)
app.command("filing", rich_help_panel=KEEP)(filing.filing)
app.command("drill", rich_help_panel=KEEP)(drill.drill)
app.add_typer(policies.app, name="policy", rich_help_panel=KEEP)
app.add_typer(rates.app, name="rates", rich_help_panel=KEEP)
app.add_typer(watch_list.app, name="watch-list", rich_help_panel=KEEP)
app.add_typer(mutes.app, name="mute", rich_help_panel=KEEP)
app.add_typer(dead_letters.app, name="dead-letters", rich_help_panel=KEEP)
app.command("database", rich_help_panel=KEEP)(store.database)
app.command("archive", rich_help_panel=KEEP)(archive.archive)
app.command("restore", rich_help_panel=KEEP)(archive.restore)


@app.command("settings", rich_help_panel=KEEP)
def settings(
    markdown: Annotated[bool, typer.Option("--markdown", help="As a table for a page.")] = False,
) -> None:
    """List every environment variable with its default and meaning."""
    if markdown:
        print("| variable | default | meaning |\n|---|---|---|")
        for name, default, meaning in describe():
            print(f"| `{name}` | {default} | {meaning} |")
        return
    for name, default, meaning in describe():
        print(f"{name:34} {default:20} {meaning}")


def main() -> None:
    """Entry point of the `liandong` script."""
    app()


if __name__ == "__main__":
    main()
