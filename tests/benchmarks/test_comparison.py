"""The pages of the comparison say what the files say."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import beside, comparison, faces, record, trial, tried
from benchmarks.gaps import GAPS, with_gaps
from benchmarks.record import RESULTS, ROOT

KEY = {"target": "class:4", "data": "slice", "seed": 0, "prune": None, "method": None}
FIGURES: dict[str, Any] = {
    "d_r": 100.0, "d_f": 0.0, "d_rt": 74.0, "d_ft": 0.0, "ua": 100.0, "ra": 100.0, "ta": 74.0,
    "mia": 100.0, "mia_auc": 0.5, "bn_recalibrated_d_f": 0.0, "sparsity": 0.0,
}  # fmt: skip


def row(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, **KEY} | dict.fromkeys(trial.FIGURES) | FIGURES | more


def filed(tmp_path: Path, *rows: dict[str, Any], device: str = "cpu") -> Path:
    path = tmp_path / "made.json"
    kept = record.Record(path, {"device": device}, ("name", "target", "data", "seed"))
    for each in rows:
        kept.add(each)
    kept.amend(with_gaps)
    return path


def test_a_row_stands_with_its_gaps_and_bars_compare_with_the_retrained(tmp_path: Path) -> None:
    ran = {"rte_seconds": 20.5, "forwards": 12_345, "backwards": 6_000}
    l1 = row("l1_sparse", method="l1_sparse", ua=98.0, ta=72.5, **ran)
    path = filed(tmp_path, row("retrained"), l1)

    text = comparison.written(path)

    assert "| `l1_sparse` | 0 | 98.0 (-2.0) | 100.0 (+0.0) | 72.5 (-1.5) |" in text
    assert "| 20.5 | 12,345 | 6,000 |" in text
    assert "| `l1_sparse`, slice: UA at least 99 | 98.00 | no |" in text
    assert "| `l1_sparse`, slice: TA within 1 point of retrained | -1.50 | no |" in text
    assert "l1_sparse" in comparison.pictures(path)["methods-class4.svg"]


def test_what_a_gpu_measured_stands_beside_the_other_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "PAGE", tmp_path / "comparison.md")
    monkeypatch.setattr(comparison, "PICTURES", tmp_path)
    ran = {"rte_seconds": 0.5}
    l1 = row("l1_sparse", method="l1_sparse", **ran)

    comparison.publish(filed(tmp_path, row("retrained"), l1, device="NVIDIA H200"))

    text = (tmp_path / "comparison-gpu.md").read_text()
    assert "NVIDIA H200 (" in text
    assert "(pictures/methods-class4-gpu.svg)" in text
    assert (tmp_path / "methods-class4-gpu.svg").exists()
    assert not (tmp_path / "comparison.md").exists()


@pytest.mark.parametrize(
    ("method", "target", "marked"),
    [
        ("boundary_shrink", "samples:500", True),
        ("boundary_expanding", "samples:500", True),
        ("boundary_shrink", "class:4", False),
        ("influence", "class:4", True),
        ("l1_sparse", "samples:500", False),
    ],
)
def test_a_method_on_a_target_that_it_was_not_designed_for_is_marked(
    method: str, target: str, marked: bool
) -> None:
    shown = comparison.table([row(method, method=method, target=target, **dict.fromkeys(GAPS))])

    assert (f"| `{method}` † | 0 |" in shown) is marked
    assert (f"| `{method}` | 0 |" in shown) is not marked


def test_a_refusal_is_given_in_its_own_words(tmp_path: Path) -> None:
    nothing = dict.fromkeys(FIGURES)
    refused = row("amnesiac", method="amnesiac", refused="All updates saw it.") | nothing

    text = comparison.written(filed(tmp_path, row("original"), refused))

    assert "`amnesiac` refused: All updates saw it." in text
    assert "| `amnesiac`" not in text


def test_what_was_not_run_on_a_gpu_stays_empty() -> None:
    text = beside.written(None)

    assert "| `finetune` | dense | 22.5 |  | 75.0 |  | 99.9 |  | 94.3 |  | 2.5 |  |" in text
    assert "| `l1_sparse` | dense |  |  |" in text


def test_what_was_run_is_the_mean_over_seeds() -> None:
    ran = [
        row("finetune_sparse95", ua=ua, seed=s, rte_seconds=60.0) for s, ua in ((0, 1.0), (1, 3.0))
    ]

    text = beside.written({"rows": ran, "settings": {"device": "a GPU"}})

    assert "| `finetune` | 95 % | 73.6 | 2.0 |" in text
    assert "means of 2 seeds on a GPU" in text


@pytest.mark.parametrize(
    ("file", "page"), [("methods_cifar10", "comparison"), ("orl_faces", "faces")]
)
def test_the_page_in_the_tree_is_made_from_the_file_in_the_tree(file: str, page: str) -> None:
    path, shown = RESULTS / f"{file}.json", (ROOT / "docs" / f"{page}.md").read_text()
    made = {"comparison": comparison.written, "faces": lambda _: faces.written(read(path))}

    assert shown == made[page](path)


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_every_try_of_the_search_is_shown_and_the_taken_one_in_bold(tmp_path: Path) -> None:
    tries = [({}, 0.3022), ({"gamma": 0.0003}, 0.0547)]
    rows = [
        {"goal": "class", "method": "l1_sparse", "params": params, "gap": gap}
        for params, gap in tries
    ]
    (tmp_path / "tuned.json").write_text(json.dumps({"rows": rows}))
    (tmp_path / "recipe.toml").write_text(
        'dataset = "d"\narchitecture = "a"\n[class.l1_sparse]\n'
        "params = { gamma = 0.0003 }\nfound = { gap_untouched = 0.3094 }\n"
    )

    (text,) = tried.written(tmp_path / "tuned.json", tmp_path / "recipe.toml")

    assert "an untouched net has 0.309 (a class)" in text
    assert "| a class | `l1_sparse` | defaults: 0.302; **gamma 0.0003: 0.055** |" in text
    assert tried.written(tmp_path / "nothing.json", tmp_path / "recipe.toml") == []
