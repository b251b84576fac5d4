"""Records become shards and come back bit by bit; content decides the fingerprint."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workers.data.packing import Shard, pack, rewrite
from workers.data.readers import open_source
from workers.data.records import ImportOptions

Write = Callable[..., Path]


def packed(source: Path, folder: Path, **options: Any) -> list[Shard]:
    opened = open_source(source, ImportOptions(**options))
    folder.mkdir(exist_ok=True)
    return list(pack(opened.records(), folder, opened.class_names, shard_bytes=400))


def test_shards_hold_the_pixels_in_order_and_say_where_each_row_lies(
    tiny: Any, write: Write, tmp_path: Path
) -> None:
    shards = packed(write("npz", tiny), tmp_path / "out")

    assert [(shard.first, len(shard.rows)) for shard in shards] == [(0, 4), (4, 4), (8, 1)]
    assert {shard.shape for shard in shards} == {(6, 5, 3)}
    arrays = [np.load(shard.path, mmap_mode="r") for shard in shards]
    assert np.array_equal(np.concatenate(arrays), tiny.images)
    assert [row.sample_id for shard in shards for row in shard.rows] == tiny.ids
    assert [row.position for shard in shards for row in shard.rows] == [0, 1, 2, 3, 0, 1, 2, 3, 0]


def test_an_image_larger_than_a_shard_gets_a_shard_of_its_own(
    tiny: Any, write: Write, tmp_path: Path
) -> None:
    opened = open_source(write("npz", tiny))

    shards = list(pack(opened.records(), tmp_path, opened.class_names, shard_bytes=1))

    assert [len(shard.rows) for shard in shards] == [1] * 9


def test_the_same_content_has_one_fingerprint_in_every_format(
    tiny: Any, write: Write, tmp_path: Path
) -> None:
    tiny.subjects = [""] * 9
    kinds = ["parquet", "folder", "zip", "npz"]

    found = {packed(write(kind, tiny), tmp_path / "out")[-1].fingerprint for kind in kinds}

    assert len(found) == 1


@pytest.mark.parametrize(
    ("column", "value"),
    [("labels", 2), ("ids", "train/ant/99"), ("splits", "test"), ("subjects", "p9")],
)
def test_any_change_of_a_row_changes_the_fingerprint(
    column: str, value: Any, tiny: Any, write: Write, tmp_path: Path
) -> None:
    before = packed(write("npz", tiny), tmp_path / "out")[-1].fingerprint
    getattr(tiny, column)[4] = value

    after = packed(write("npz", tiny), tmp_path / "out")[-1].fingerprint

    assert before != after


def test_pixels_class_names_and_hold_out_are_part_of_the_fingerprint(
    tiny: Any, write: Write, tmp_path: Path
) -> None:
    path, out = write("npz", tiny), tmp_path / "out"
    other = replace(tiny, images=tiny.images ^ np.uint8(1))

    found = [
        packed(path, out),
        packed(path, out, classes=("a", "b", "c")),
        packed(path, out, holdout_share=0.9, holdout_key=b"k"),
        packed(write("npz", other), out),
    ]

    assert len({shards[-1].fingerprint for shards in found}) == 4


def test_packing_twice_gives_the_same_bytes(tiny: Any, write: Write, tmp_path: Path) -> None:
    path = write("parquet", tiny)

    one, two = packed(path, tmp_path / "one"), packed(path, tmp_path / "two")

    assert [a.path.read_bytes() for a in one] == [b.path.read_bytes() for b in two]


def test_memory_does_not_grow_with_the_dataset(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = tmp_path / f"{count}.npz"
        np.savez(path, images=np.zeros((count, 16, 16), np.uint8), labels=np.zeros(count, int))
        tracemalloc.start()
        source = open_source(path)
        rows = 0
        for shard in pack(source.records(), tmp_path, source.class_names, shard_bytes=1 << 17):
            rows += len(shard.rows)
            shard.path.unlink()
        assert rows == count
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    few, many = peak(8_000), peak(20_000)  # 2 and 5 MB of pixels

    assert many < few + 500_000


def test_rewriting_zeroes_the_rows_named_and_keeps_all_others(
    tiny: Any, write: Write, tmp_path: Path
) -> None:
    shard = packed(write("npz", tiny), tmp_path / "out")[0]
    before = shard.path.read_bytes()

    copy = np.load(rewrite(shard.path, [1, 3], tmp_path))

    assert not copy[[1, 3]].any()
    assert np.array_equal(copy[[0, 2]], tiny.images[[0, 2]])
    assert shard.path.read_bytes() == before


@pytest.mark.parametrize("row", [-1, 4])
def test_rewriting_a_row_that_is_not_there_is_refused_and_writes_nothing(
    row: int, tiny: Any, write: Write, tmp_path: Path
) -> None:
    shard = packed(write("npz", tiny), tmp_path / "out")[0]
    (tmp_path / "erased").mkdir()

    with pytest.raises(IndexError, match=f"4 rows and no row {row}"):
        rewrite(shard.path, [0, row], tmp_path / "erased")

    assert not list((tmp_path / "erased").iterdir())
