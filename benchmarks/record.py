"""Result files: rows, and the machine, versions, commit and settings that they were measured with."""

import json
import os
import platform
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
CODE = ("app", "lethe", "models_store", "workers", "migrations", "benchmarks/*.py")
"""What decides a result; a change elsewhere does not make the tree dirty."""
PACKAGES = ("lethe", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "celery", "fastapi")

Row = dict[str, Any]


class Record:
    """One result file. Each row is on disk, whole, before `add` returns, and names its commit.

    A row that is measured once more moves to `earlier`, and so do all rows when the machine, the
    versions or the settings have changed: nothing is lost, and what stands together belongs together.
    A file may hold other tables beside `rows`; they share all this, and are written one at a time.
    """

    def __init__(
        self, path: Path, settings: Row, known_by: tuple[str, ...], table: str = "rows"
    ) -> None:
        self.path, self.known_by, self.table, self.commit = path, known_by, table, commit()
        self.around = {
            "machine": machine(),
            "versions": versions(),
            "settings": settings,
        }
        found: Row = json.loads(path.read_text()) if path.exists() else {}
        self.rows: list[Row] = found.get(table, [])
        self.beside = {
            name: rows
            for name, rows in found.items()
            if isinstance(rows, list) and name not in {table, "earlier"}
        }
        self.earlier: list[Row] = found.get("earlier", [])
        before = {name: found.get(name) for name in self.around}
        if (self.rows or self.beside) and before != self.around:
            self.earlier.append({table: self.rows, **self.beside, **before})
            self.rows, self.beside = [], {}

    def has(self, key: Row) -> bool:
        """Is there such a row, measured at this commit?"""
        return any(self._same(row, key) and row["commit"] == self.commit for row in self.rows)

    def knows(self, key: Row) -> bool:
        """Is there such a row, of whichever commit?"""
        return any(self._same(row, key) for row in self.rows)

    def add(self, row: Row) -> None:
        """Write a row, in the place of an older one of the same name."""
        old = [each for each in self.rows if self._same(each, row)]
        if old:
            self.earlier.append({self.table: old, **self.around})
        new = row | {"commit": self.commit, "measured_at": now()}
        self.rows = [new if each in old else each for each in self.rows] + [new] * (not old)
        self._write()

    def amend(self, change: Callable[[list[Row]], list[Row]]) -> None:
        """Work out anew what follows from other rows of the file."""
        self.rows = change(self.rows)
        self._write()

    def _write(self) -> None:
        document = {self.table: self.rows, **self.beside, "commit": self.commit, **self.around}
        write(self.path, json.dumps(document | {"earlier": self.earlier}, indent=1) + "\n")

    def _same(self, row: Row, other: Row) -> bool:
        return all(row[name] == other[name] for name in self.known_by)


def write(path: Path, content: str | bytes) -> None:
    """Replace a file at once: a reader sees the old text or the new one, also after a crash."""
    part = path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with part.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def said(document: Row, table: str = "rows") -> str:
    """With what the rows of a table were measured, in words."""
    machine, versions, rows = document["machine"], document["versions"], document[table]
    commits = ", ".join(dict.fromkeys(f"`{row['commit'][:12]}`" for row in rows))
    return (
        f"Commit {commits}, {max(row['measured_at'] for row in rows)[:10]}, {machine['cores']} "
        f"cores ({machine['processor']}, {machine['system']}), torch {versions['torch']}, Python "
        f"{machine['python']}."
    )


def now() -> str:
    """RFC 3339 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def machine() -> Row:
    """What the figures in seconds depend on."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(pages * size / 2**30),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str | None]:
    """Of what decides results; null for what a machine that only measures has not got."""
    return {name: _version(name) for name in PACKAGES}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def commit() -> str:
    """The commit of this tree, `-dirty` if its code differs from it; `unknown` outside of git."""
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", *CODE)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}-dirty" if changed else head


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
