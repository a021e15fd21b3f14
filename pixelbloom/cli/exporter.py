"""`pixelbloom exporter`: the figures of the whole system, for Prometheus."""

from typing import Annotated

import typer

from pixelbloom.cli.output import USAGE, fail, reported

DEFAULT_PORT = 9464


def register(app: typer.Typer) -> None:
    app.command("exporter")(exporter)


@reported
def exporter(
    port: Annotated[
        int | None, typer.Option(help="The port; METRICS_PORT or 9464 by default.", min=1, max=65535)
    ] = None,
    address: Annotated[str | None, typer.Option(help="The address; METRICS_ADDRESS by default.")] = None,
) -> None:
    """Serve what Postgres and Redis hold as Prometheus metrics, until it is stopped. Run one for the whole system."""
    from pixelbloom import logs
    from pixelbloom.container import Container
    from pixelbloom.exporter.server import run
    from pixelbloom.startup import BACKEND, required_settings

    settings = required_settings(*BACKEND)
    logs.configure(settings)
    chosen = port or settings.metrics_port or DEFAULT_PORT
    try:
        run(Container(settings), address or settings.metrics_address, chosen)
    except OSError as error:
        fail(f"The port {chosen} cannot be used: {error.strerror or error}.", USAGE)
