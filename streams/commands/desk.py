"""Run: the desk."""

import signal
from typing import Annotated

import typer
import uvicorn

from connectors.desk.app import build_desk
from connectors.errors import LiandongError
from connectors.metrics import Metrics, metrics_shown
from connectors.policy_file import load_policy
from connectors.store.engine import answering, open_store
from connectors.store.versions import check
from streams.commands.output import command, log_to_stderr, read_settings
from streams.playground import READY

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class _Server(uvicorn.Server):
    """Says when it is ready, and where."""

    async def startup(self, sockets: object = None) -> None:
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            print(f"{READY} the desk is at http://{self.config.host}:{self.config.port}/", flush=True)


@command
def desk(
    host: Annotated[str, typer.Option(help="Where it listens; 0.0.0.0 for the network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8080,
    name: Annotated[
        list[str] | None, typer.Option("--name", help="A name under which browsers call it, such as desk.bank.example.")
    ] = None,
) -> None:
    """Show the risk department its desk: warnings, cases, the book. Pages and an API, until Ctrl-C.

    It knows no users: put it behind the bank's proxy, which knows who may see it. It only reads.
    """
    settings = read_settings()
    log_to_stderr(settings)
    policy = load_policy(settings.policy_path())
    metrics = Metrics()
    engine = open_store(settings, read_only=True)
    try:
        with answering(engine), engine.connect() as connection:
            metrics.database("desk", up=True, version=check(connection))
        application = build_desk(engine, policy, metrics, (*LOOPBACK, *(name or ())))
        metrics.build(application.version, policy.policy.version)
        for number in (signal.SIGINT, signal.SIGTERM):
            # Uvicorn takes them while it runs, and raises them again when it has ended, for whoever had them before.
            signal.signal(number, lambda *_: None)
        runner = _Server(uvicorn.Config(application, host=host, port=port, log_config=None, server_header=False))
        with metrics_shown(settings, "desk", metrics):
            runner.run()
        if not runner.started:
            raise LiandongError(f"the desk cannot listen at {host}:{port}", "choose a free one with --port")
    finally:
        engine.dispose()
