"""Parquet with the Hugging Face image layout, one file or a folder of them."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from workers.data.records import SPLITS, BadRow, ImportOptions, Raw, Table, class_names_for

BATCH_BYTES = 1 << 22
MOST_IN_BATCH = 1024
OPTIONAL = ("sample_id", "subject_id", "split")


def files(root: Path) -> list[Path]:
    """The Parquet files of a folder, at any depth, in the order of their paths."""
    found = (path for path in root.rglob("*.parquet") if not path.name.startswith("."))
    return sorted(path for path in found if path.is_file())


def table(path: Path, options: ImportOptions) -> Table:
    """Check the schema of every file and read what they say of classes; raises `BadRow`.

    Columns: `image` (struct with `bytes`), `label` (integer), and, where present, `sample_id`,
    `subject_id`, `split`. Class names come from the ClassLabel feature in the schema metadata.
    """
    parts = files(path) if path.is_dir() else [path]
    names, most, total, unpacked = set[tuple[str, ...]](), -1, 0, 0
    for part in parts:
        with _opened(part, path) as file:
            schema = file.schema_arrow
            _check(schema, _called(part, path))
            names.add(_class_names(schema))
            total += file.metadata.num_rows
            unpacked += sum(
                file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups)
            )
    if unpacked > options.max_bytes:
        raise BadRow(path.name, f"it unpacks to {unpacked} bytes, more than {options.max_bytes}.")
    if len(names) > 1 and not options.classes:
        raise BadRow(path.name, "its files disagree on the class names; give the class names.")
    carried = next(iter(names), ())
    if not carried and not options.classes:
        most = max((_highest_label(part, path) for part in parts), default=-1)

    def rows() -> Iterator[Raw]:
        for part in parts:
            yield from _rows(part, path)

    return Table(class_names_for(carried, options, most), total, rows)


def _opened(part: Path, root: Path) -> Any:
    if root.is_dir() and part.is_symlink():
        raise BadRow(_called(part, root), "this is a symbolic link; put the file itself there.")
    try:
        return pq.ParquetFile(part, buffer_size=1 << 20, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise BadRow(_called(part, root), f"this Parquet file is damaged ({error}).") from error


def _called(part: Path, root: Path) -> str:
    return root.name if part == root else part.relative_to(root).as_posix()


def _check(schema: Any, where: str) -> None:
    for name in ("image", "label"):
        if name not in schema.names:
            raise BadRow(where, f"there is no column {name!r} among {schema.names}; rename one.")
    image, label = schema.field("image").type, schema.field("label").type
    binary = pa.types.is_struct(image) and "bytes" in {field.name for field in image}
    if not binary or image.field("bytes").type not in (pa.binary(), pa.large_binary()):
        raise BadRow(where, f"the column 'image' is {image}, not a struct with binary 'bytes'.")
    if not pa.types.is_integer(label):
        raise BadRow(where, f"the column 'label' is {label}, not integers from 0.")


def _class_names(schema: Any) -> tuple[str, ...]:
    """Names in the `huggingface` metadata: `info.features.label` of `_type` ClassLabel."""
    try:
        said = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        label = said["info"]["features"]["label"]
    except (ValueError, KeyError, TypeError):
        return ()
    names = label.get("names") if isinstance(label, dict) else None
    return tuple(str(name) for name in names) if isinstance(names, Sequence) else ()


def _highest_label(part: Path, root: Path) -> int:
    with _opened(part, root) as file:
        batches = file.iter_batches(columns=["label"])
        found = (pc.max(batch.column(0)).as_py() for batch in batches)
        return max((label for label in found if label is not None), default=-1)


def _rows(part: Path, root: Path) -> Iterator[Raw]:
    where, split = _called(part, root), _split_of(part, root)
    with _opened(part, root) as file:
        others = [name for name in OPTIONAL if name in file.schema_arrow.names]
        plain = (row for batch in _batches(file, others, where) for row in _plain(batch, others))
        for number, row in enumerate(plain):
            yield _raw(row, split, f"{where}, row {number}")


def _batches(file: Any, others: list[str], where: str) -> Iterator[Any]:
    bulk = sum(file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups))
    size = max(1, min(MOST_IN_BATCH, BATCH_BYTES * file.metadata.num_rows // max(bulk, 1)))
    number = 0
    try:
        for batch in file.iter_batches(size, columns=["image.bytes", "label", *others]):
            yield batch
            number += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise BadRow(
            f"{where}, row {number} or after", f"this Parquet file is damaged ({error})."
        ) from error


def _plain(batch: Any, others: list[str]) -> Iterator[dict[str, Any]]:
    names = ["image", "label", *others]
    columns = [pc.struct_field(batch.column("image"), "bytes").to_pylist()]
    columns += [batch.column(name).to_pylist() for name in names[1:]]
    return (dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True))


def _raw(row: dict[str, Any], split: str | None, where: str) -> Raw:
    if "sample_id" in row and row["sample_id"] is None:
        raise BadRow(where, "the sample_id is missing; give every row one, or drop the column.")
    return Raw(
        image=row["image"],
        label=row["label"],
        where=where,
        sample_id=row.get("sample_id"),
        split=row["split"] or "" if "split" in row else split,
        subject=row.get("subject_id"),
    )


def _split_of(part: Path, root: Path) -> str | None:
    """The split that a file's name says (`train-00000-of-00002`), or else its folder's name."""
    spoken = [part.stem] if part == root else [part.stem, part.parent.name]
    for name in spoken:
        word = re.match(r"hold[-_]?out|[a-z]*", name.lower())
        if word and word[0] in SPLITS:
            return word[0]
    return None
