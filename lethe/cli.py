"""`lethe`: starts the rooms as processes; everything else is a call to the service over HTTP.

Exit codes: 0 done, 2 wrong usage, 3 refused, 4 not found, 5 a job failed, 6 no service.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lethe import certify, datasets, demo, models, pool, report, requests, rooms, tune, up
from lethe.client import Client, Problem, Unreachable
from lethe.screen import Failed, Hand, hand

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(certify.app, name="certificates")
app.add_typer(datasets.app, name="datasets")
app.add_typer(models.app, name="models")
app.add_typer(pool.app, name="pool")
app.add_typer(requests.app, name="requests")
app.add_typer(tune.app, name="tunings")
app.command()(certify.certify)
app.command()(models.train)
app.command()(models.policy)
app.command()(requests.forget)
app.command()(tune.tune)

Home = Annotated[Path, typer.Option(envvar="LETHE_HOME", help="The service's one folder.")]
HTML, PDF = "text/html", "application/pdf"
JOB_COLUMNS = ("id", "kind", "status", "phase", "progress", "model_name", "attempt", "worker")
Port = Annotated[int, typer.Option(help="On the loopback interface.")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; an error is one line on standard error and an exit code."""
    try:
        app(args=arguments, prog_name="lethe")
    except (Problem, Unreachable, Failed, up.CannotStart) as error:
        print(f"lethe: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


@app.callback()
def root(
    context: typer.Context,
    url: Annotated[
        str, typer.Option(envvar="LETHE_URL", help="Where the service is.")
    ] = "http://127.0.0.1:8000",
    key: Annotated[str | None, typer.Option(envvar="LETHE_API_KEY", help="Bearer key.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answers as JSON.")] = False,
) -> None:
    """Machine unlearning as a service."""
    client = context.with_resource(Client(url, key))
    context.obj = Hand(client, as_json)


@app.command("up")
def start(context: typer.Context, home: Home = Path(".lethe"), port: Port = 8000) -> None:
    """Run the service on this machine, without PostgreSQL and Redis, until Ctrl-C."""
    say = hand(context).say
    with up.service(home, port, say):
        say(f"Lethe is up at http://{up.LOOPBACK}:{port} (dashboard: /dashboard).")
        say(f"Data and logs are in {home}. Ctrl-C stops it.")
        up.until_interrupted()


@app.command()
def api(
    host: Annotated[str, typer.Option(help="Interface.")] = up.LOOPBACK,
    port: Annotated[int, typer.Option(help="Port.")] = 8000,
) -> None:
    """Serve HTTP (server mode: LETHE_DATABASE_URL, LETHE_BROKER_URL, LETHE_API_KEYS)."""
    rooms.become(rooms.api(host, port))


@app.command()
def worker(
    queues: Annotated[str | None, typer.Option(help="Comma-separated; by default all.")] = None,
    name: Annotated[str | None, typer.Option(help="Unique among workers.")] = None,
) -> None:
    """Carry out jobs; start one for each device."""
    rooms.become(rooms.worker(queues, name))


@app.command()
def migrate(revision: Annotated[str, typer.Argument()] = "head") -> None:
    """Bring the database to the schema of this version."""
    rooms.become(rooms.migrate(revision))


@app.command("demo")
def show_off(context: typer.Context, home: Home = Path(".lethe-demo"), port: Port = 8000) -> None:
    """Train on digits, forget a class and 25 images, audit; the service stays up."""
    demo.run(home, port, hand(context).say)


@app.command()
def jobs(
    context: typer.Context,
    job: Annotated[str | None, typer.Argument(help="Show this one.")] = None,
    status: Annotated[str | None, typer.Option()] = None,
    model: Annotated[str | None, typer.Option()] = None,
    kind: Annotated[str | None, typer.Option()] = None,
) -> None:
    """Jobs, or one job."""
    held = hand(context)
    if job is not None:
        held.show(held.client.get(f"/jobs/{job}"))
        return
    found = held.client.items("/jobs", status=status, model=model, kind=kind)
    held.table(found, JOB_COLUMNS)


@app.command()
def workers(context: typer.Context) -> None:
    """Who works, where, and at what."""
    found = hand(context).client.items("/workers")
    hand(context).table(found, ("name", "state", "queues", "device", "job", "last_beat_at"))


@app.command()
def methods(context: typer.Context) -> None:
    """The unlearning methods on offer."""
    _offered(hand(context), "/methods")


@app.command()
def pruners(context: typer.Context) -> None:
    """What can make a net sparse before a method runs (`lethe forget --prune`)."""
    _offered(hand(context), "/methods", "pruners")


@app.command()
def nets(context: typer.Context) -> None:
    """The architectures on offer."""
    _offered(hand(context), "/nets")


@app.command()
def audit(
    context: typer.Context,
    model: str,
    version: Annotated[str | None, typer.Option(help="A number, `active` or `latest`.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the page to this file.")] = None,
    pdf: Annotated[Path | None, typer.Option(help="Write the PDF to this file.")] = None,
) -> None:
    """The audit report of a version."""
    held, path = hand(context), f"/models/{model}/audit"
    wanted = [(file, media) for file, media in ((html, HTML), (pdf, PDF)) if file is not None]
    if not wanted:
        report.show(held, held.client.get(path, version=version))
    for file, media in wanted:
        file.write_bytes(held.client.text(path, media, version=version))
        held.say(f"{file} holds the report.")


@app.command()
def verify(context: typer.Context, model: str) -> None:
    """Recompute the chain of a model's events."""
    found = hand(context).client.get(f"/models/{model}/audit/verify")
    hand(context).show(found)
    if not found["valid"]:
        raise Failed(f"The chain of {model} is broken at event {found['first_bad']}.")


@app.command()
def doctor(context: typer.Context) -> None:
    """Compare rows with files, and versions with requests; changes nothing."""
    hand(context).show(hand(context).client.get("/doctor"))


@app.command()
def stats(context: typer.Context) -> None:
    """Counts and oldest ages."""
    hand(context).show(hand(context).client.get("/stats"))


@app.command()
def ready(context: typer.Context) -> None:
    """Is the service ready? For health checks."""
    hand(context).show(hand(context).client.get("/readyz"))


def _offered(held: Hand, path: str, shelf: str = "items") -> None:
    """With --json everything, parameters and their bounds included; else a line for each."""
    found = list(held.client.get(path)[shelf])
    if not held.as_json:
        found = [{**each, "about": each["about"].partition("\n")[0]} for each in found]
    held.table(found, ("name", "about"))
