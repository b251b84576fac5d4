"""The locks pin all that `pyproject.toml` asks for, and say nothing about where it comes from."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-api.lock")
PYTHONS = ("3.11", "3.12", "3.13")


def locked(name: str) -> list[Requirement]:
    text = re.sub(r"\s*\\\n\s*--hash=sha256:[0-9a-f]{64}", "", (ROOT / name).read_text())
    return [Requirement(line) for line in text.splitlines()]


def pins(name: str, python: str) -> dict[str, str]:
    """Package -> version, on Linux with this Python."""
    environment = default_environment() | {
        "python_version": python,
        "python_full_version": f"{python}.1",
        "sys_platform": "linux",
    }
    return {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version
        for pin in locked(name)
        if pin.marker is None or pin.marker.evaluate(environment)  # type: ignore[arg-type]
    }


def asked_for(lock: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    lines = project["project"]["dependencies"] + extras["s3"]
    if lock == "requirements.lock":
        lines += extras["worker"]
        lines += project["dependency-groups"]["dev"]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "--index" not in text
    assert "@" not in text


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_is_exact_and_carries_hashes(lock: str) -> None:
    entries = re.split(r"\n(?=\S)", (ROOT / lock).read_text().strip())
    assert all("--hash=sha256:" in entry for entry in entries)
    assert all([s.operator for s in pin.specifier] == ["=="] for pin in locked(lock))


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_gives_every_python_what_the_project_asks_for(lock: str, python: str) -> None:
    pinned = pins(lock, python)
    for wanted in asked_for(lock):
        version = pinned[canonicalize_name(wanted.name)]
        assert version in wanted.specifier, f"{wanted} is pinned to {version}; run `make lock`"


@pytest.mark.parametrize("python", PYTHONS)
def test_the_image_of_the_api_has_the_same_versions_and_no_tensors(python: str) -> None:
    everything, api = (pins(lock, python) for lock in LOCKS)
    assert api.items() <= everything.items()
    assert not api.keys() & {"torch", "numpy", "scipy", "pillow", "pyarrow"}
