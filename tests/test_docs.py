"""The pages say what the code does: settings, paths, problems, states, commands, reasons."""

import ast
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic.fields import FieldInfo
from typer.main import get_command

from app.main import create
from app.problem_pages import PROBLEMS
from lethe import cli
from models_store.life import JOB_NEXT, REQUEST_NEXT, VERSION_NEXT
from models_store.settings import Settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = {path.relative_to(ROOT).as_posix(): path.read_text() for path in DOCS.rglob("*.md")}
PAGES["README.md"] = (ROOT / "README.md").read_text()
RECORDS = {path.name: path.read_text() for path in sorted((DOCS / "adr").glob("*.md"))}
KEYS = "0014-the-keys-of-result-files.md"

TITLE = re.compile(r"^#+ (.+)$", re.MULTILINE)
PATH_TITLE = re.compile(r"^### `(\S+) (\S+)`$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
TEST = re.compile(r"`(tests/\S+\.py)::(test_\w+)`")
CODE = re.compile(r"`(\w+(?:/\w+)+\.py)`: ((?:`[\w.]+`(?:, )?)+)")


def page(name: str) -> str:
    return PAGES[f"docs/{name}"]


def shelf(name: str) -> list[Path]:
    return sorted(p for p in (ROOT / "workers" / name).glob("*.py") if p.stem != "__init__")


# ---- settings, problems, paths -------------------------------------------------------------------


@pytest.mark.parametrize(("name", "field"), Settings.model_fields.items())
def test_a_setting_is_listed_with_its_default_and_meaning(name: str, field: FieldInfo) -> None:
    row = f"| `LETHE_{name.upper()}` | {said(field.get_default())} | {field.description} |"

    assert row in page("operations.md")


def said(default: object) -> str:
    """A default as the page writes it."""
    if isinstance(default, timedelta):
        return f"{default.total_seconds():g} s"
    return f"`{default}`" if default or default == 0 else "none"


def test_no_setting_is_listed_that_is_gone() -> None:
    known = {f"LETHE_{name.upper()}" for name in Settings.model_fields} | {
        "LETHE_URL",
        "LETHE_API_KEY",
    }

    assert set(re.findall(r"LETHE_[A-Z_]+", " ".join(PAGES.values()))) <= known


@pytest.mark.parametrize("slug", PROBLEMS)
def test_a_problem_is_listed_with_its_status(slug: str) -> None:
    assert f"| `{slug}` | {PROBLEMS[slug].status} | {PROBLEMS[slug].title} |" in page("rest.md")


def test_every_path_is_on_the_page_and_no_other(tmp_path: Path) -> None:
    described = create(Settings(home=tmp_path)).openapi()["paths"]
    paths = {(verb.upper(), path) for path, verbs in described.items() for verb in verbs}

    assert set(PATH_TITLE.findall(page("rest.md"))) == paths


def test_every_path_has_an_example() -> None:
    _, *sections = re.split(r"^###? ", page("rest.md"), flags=re.MULTILINE)
    pages_for_people = ("`GET /dashboard`", "`GET /problems/{slug}`")
    paths = [section for section in sections if section.startswith("`")]

    bare = [path for path in paths if "curl" not in path and not path.startswith(pages_for_people)]

    assert paths
    assert bare == []


# ---- states, shelves, code -----------------------------------------------------------------------


@pytest.mark.parametrize("steps", [REQUEST_NEXT, JOB_NEXT, VERSION_NEXT])
def test_each_table_of_states_is_the_one_that_is_enforced(
    steps: Mapping[StrEnum, frozenset[StrEnum]],
) -> None:
    rows = [
        f"| `{state}` | {', '.join(f'`{s}`' for s in type(state) if s in following)} |"
        for state, following in steps.items()
        if following
    ]

    assert "\n".join(rows[:2]) in page("architecture.md")
    assert [row for row in rows if row not in page("architecture.md")] == []


@pytest.mark.parametrize("method", shelf("methods"), ids=lambda path: path.stem)
def test_a_method_is_on_its_page(method: Path) -> None:
    assert f"\n| `{method.stem}` | " in page("methods.md")


@pytest.mark.parametrize("audit", shelf("audits"), ids=lambda path: path.stem)
def test_an_audit_is_on_its_page_with_its_limits(audit: Path) -> None:
    row = re.search(rf"^\| `{audit.stem}` \| .*$", page("audit.md"), re.MULTILINE)

    assert row is not None
    assert re.findall(r"`(\w+)` ([\d.]+)", row[0].split(" | ")[-1]) == [
        (name, str(value)) for name, value in limits(audit)
    ]


def limits(audit: Path) -> Iterator[tuple[str, object]]:
    """The fields of the audit's dataclass, with their defaults; read, not imported."""
    classes = [node for node in ast.parse(audit.read_text()).body if isinstance(node, ast.ClassDef)]
    (found,) = [each for each in classes if "Audit" in map(ast.unparse, each.bases)]
    for node in found.body:
        if not isinstance(node, ast.AnnAssign) or "ClassVar" in ast.unparse(node.annotation):
            continue
        if node.value is not None:
            yield ast.unparse(node.target), ast.literal_eval(node.value)


def test_every_function_on_the_line_of_a_request_exists() -> None:
    named = [
        (file, name)
        for file, names in CODE.findall(page("architecture.md"))
        for name in re.findall(r"[\w.]+", names)
    ]

    assert len(named) > 20
    assert [(file, name) for file, name in named if not is_defined(file, name)] == []


def is_defined(file: str, name: str) -> bool:
    """Is there such a function, or `Class.method`, in this module?"""
    text = (ROOT / file).read_text()
    *owner, function = name.split(".")
    return f"def {function}(" in text and all(f"class {each}" in text for each in owner)


# ---- links and commands --------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    here = (ROOT / name).parent
    local = [link for link in LINK.findall(PAGES[name]) if "://" not in link]

    assert [link for link in local if not leads(here, link, PAGES[name])] == []


def leads(here: Path, link: str, own: str) -> bool:
    file, _, anchor = link.partition("#")
    goal = here / file
    if not anchor or not goal.exists():
        return goal.exists()
    text = goal.read_text() if file else own
    return anchor in [anchor_of(title) for title in TITLE.findall(text)]


def anchor_of(title: str) -> str:
    """As the usual renderers make it."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def commands() -> list[str]:
    blocks = (block for text in PAGES.values() for block in SHELL.findall(text))
    lines = (line for block in blocks for line in block.replace("\\\n", " ").splitlines())
    return sorted({line for line in lines if line.startswith("lethe ")})


@pytest.mark.parametrize("line", commands())
def test_a_command_that_is_shown_exists_with_its_options(line: str) -> None:
    command: Any = get_command(cli.app)
    words = shlex.split(line, comments=True)[1:]
    while words and isinstance(command, typer.core.TyperGroup):
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}

    assert {word for word in words if word.startswith("--")} <= known | {"--help"}


# ---- reasons -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_of_a_decision_is_short_whole_and_held_up_by_tests_that_exist(name: str) -> None:
    text = RECORDS[name]
    held_up_by = TEST.findall(text.partition("Held up by")[2])

    assert text.startswith(f"# {int(name[:4])}. ")
    assert all(word in text for word in ("**Because**", "**we**", "**So**", "**We did not**"))
    assert len(text.split()) < 400
    assert held_up_by
    assert [
        (file, test)
        for file, test in held_up_by
        if not (ROOT / file).exists() or f"def {test}(" not in (ROOT / file).read_text()
    ] == []


def test_the_records_are_numbered_without_a_gap() -> None:
    assert [int(name[:4]) for name in RECORDS] == list(range(1, len(RECORDS) + 1))


def test_result_files_use_the_keys_that_were_agreed() -> None:
    good = {"rows": [{"name": "original", "target": "class:4", "d_f": 100.0}]}
    bad = {"rows": [{"name": "original", "target": "class:4", "forget_accuracy": 1.0}]}
    files = [json.loads(path.read_text()) for path in ROOT.glob("benchmarks/results/*.json")]

    assert strangers(good) == set()
    assert strangers(bad) == {"forget_accuracy"}
    assert [strangers(document) for document in files if strangers(document)] == []
    assert all({"machine", "commit"} <= set(file) for file in files if "rows" in file)


def strangers(document: Mapping[str, Any]) -> set[str]:
    """Keys of rows about methods that the record does not name."""
    agreed = {word for code in re.findall(r"`([^`]+)`", RECORDS[KEYS]) for word in code.split()}
    rows = [row for row in document.get("rows", []) if "name" in row]
    return {key for row in rows for key in row} - agreed
