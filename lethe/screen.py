"""What the hand shows: tables, live progress on a terminal, plain lines everywhere else."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from lethe.client import Client, Json

PLAIN_WIDTH = 120


class Failed(Exception):
    """What was waited for ended, but not well."""

    exit_code = 5


def _console() -> Console:
    return Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH, no_color=True)


@dataclass
class Hand:
    """What every command holds: the service, and a place to write."""

    client: Client
    as_json: bool
    console: Console = field(default_factory=_console)

    def say(self, line: str) -> None:
        """One line for people; with --json, standard output belongs to the answer."""
        if not self.as_json:
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def show(self, thing: Json) -> None:
        """One resource: its fields, or JSON."""
        if self.as_json:
            print(json.dumps(thing, indent=2))
            return
        grid = Table.grid(padding=(0, 2))
        for name, value in thing.items():
            grid.add_row(name, _cell(value))
        self.console.print(grid)

    def table(self, things: Iterable[Json], columns: Sequence[str]) -> None:
        """Some resources, one on each line."""
        if self.as_json:
            print(json.dumps(list(things), indent=2))
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column.replace("_", " "), overflow="fold")
        for thing in things:
            table.add_row(*(_cell(thing.get(column)) for column in columns))
        self.console.print(table)

    def watch(self, path: str, title: str) -> Json:
        """Follow a job or a request to its end, and show how far it is.

        Raises:
            Failed: it ended as anything but `succeeded`; the message says why.
        """
        shows_bar = self.console.is_terminal and not self.as_json
        state = self._bar(path, title) if shows_bar else self._lines(path, title)
        if state["status"] != "succeeded":
            raise Failed(f"{title}: {state['status']}. {reason(state)}".strip())
        return state

    def _bar(self, path: str, title: str) -> Json:
        look = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        state: Json = {}
        with Progress(*look, console=self.console) as progress:
            task = progress.add_task(title, total=100.0)
            for state in self.client.follow(path):
                job = self._job(state)
                percent = 100.0 if state["status"] == "succeeded" else _percent(job)
                words = f"{title}: {_doing(state, job)}"
                progress.update(task, description=words, completed=percent)
        return state

    def _lines(self, path: str, title: str) -> Json:
        state: Json = {}
        last = ""
        for state in self.client.follow(path):
            if (words := _doing(state, self._job(state))) != last:
                self.say(f"{title}: {words}")
                last = words
        return state

    def _job(self, state: Json) -> Json:
        """The job that serves a request now; a job is its own."""
        job = state.get("job")
        return self.client.get(f"/jobs/{job}") if job else state


def hand(context: typer.Context) -> Hand:
    """The hand that the root command made."""
    assert isinstance(context.obj, Hand)
    return context.obj


def reason(state: Json) -> str:
    """Why something failed, in the service's words."""
    failure = state.get("failure")
    if isinstance(failure, dict):
        return str(failure["detail"])
    return str(failure or "")


def pairs(given: Sequence[str]) -> Json:
    """`["epochs=3", "schedule=cosine"]` -> `{"epochs": 3, "schedule": "cosine"}`.

    Raises:
        typer.BadParameter: one of them has no `=`.
    """
    values: dict[str, Any] = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r} is not of the form name=value.")
        try:
            values[name] = json.loads(text)
        except json.JSONDecodeError:
            values[name] = text
    return values


def _doing(state: Json, job: Json) -> str:
    """Such as `running: unlearning by boundary_expanding`."""
    if state["status"] != "running":
        return str(state["status"])
    by = f" by {job['method']}" if job.get("method") else ""
    return f"{job['phase'] or 'waiting'}{by}"


def _percent(job: Json) -> float:
    return float(job.get("progress", {}).get("percent") or 0.0)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)
