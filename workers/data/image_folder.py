"""ImageFolder: `<split>/<class>/<file>` or `<class>/<file>`, as a folder or a .zip of one."""

import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from workers.data.archives import safe_members
from workers.data.records import SPLITS, BadRow, ImportOptions, Raw, Table

SUFFIXES = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif"),
        *(".tif", ".tiff", ".pgm", ".ppm", ".pnm", ".pbm"),
    )
)
"""Files of other kinds are left out, as are hidden ones and those of `__MACOSX`."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An image file: where it stands in the tree, and what to open."""

    path: PurePosixPath
    lies: ZipInfo | Path
    size: int


@dataclass(frozen=True, slots=True)
class Tree:
    """Image files in the order of their paths, relative to the folder that holds the splits."""

    name: str
    entries: list[Entry]

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(sorted({entry.path.parent.name for entry in self.entries}))


def table(path: Path, options: ImportOptions) -> Table:
    """List the images and check how they are arranged; raises `BadRow`.

    Labels follow `options.classes`, else the class folders in alphabetical order. A sample's ID
    is its path without the ending; one folder around everything is left out.
    """
    if path.is_dir():
        tree = _arranged(path.name, list(_in_folder(path)))
    else:
        with ZipFile(path) as archive:
            members = safe_members(archive, path, options)
        found = [Entry(PurePosixPath(i.filename), i, i.file_size) for i in members]
        tree = _arranged(path.name, found)
    names = tuple(options.classes) or tree.classes
    labels = {name: label for label, name in enumerate(names)}

    def rows() -> Iterator[Raw]:
        if path.is_dir():
            yield from _rows(tree, labels, options, Path.read_bytes)
            return
        with ZipFile(path) as archive:
            yield from _rows(tree, labels, options, archive.read)

    return Table(names, len(tree.entries), rows)


def _in_folder(root: Path) -> Iterator[Entry]:
    for folder, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = Path(folder, name)
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise BadRow(
                    path.relative_to(root).as_posix(),
                    "this is a symbolic link or a device; put the file itself there.",
                )
        for name in names:
            path = Path(folder, name)
            yield Entry(PurePosixPath(path.relative_to(root)), path, path.stat().st_size)


def _arranged(name: str, entries: list[Entry]) -> Tree:
    kept = [entry for entry in entries if _is_image(entry.path)]
    depths = {len(entry.path.parts) for entry in kept}
    tops = {entry.path.parts[0] for entry in kept}
    if min(depths, default=0) > 2 and len(tops) == 1 and not tops & SPLITS.keys():
        kept = [Entry(PurePosixPath(*e.path.parts[1:]), e.lies, e.size) for e in kept]
    for entry in kept:
        folders = [part.lower() for part in entry.path.parts[:-1]]
        if not folders or len(folders) > 2 or (len(folders) == 1 and folders[0] in SPLITS):
            raise BadRow(
                f"{name}, {entry.path}",
                "an image must lie in <class>/<file> or <split>/<class>/<file>; move it there.",
            )
    return Tree(name, sorted(kept, key=lambda entry: entry.path.as_posix()))


def _is_image(path: PurePosixPath) -> bool:
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.parts)
    return not hidden and path.suffix.lower() in SUFFIXES


def _rows(
    tree: Tree, labels: dict[str, int], options: ImportOptions, read: Callable[..., bytes]
) -> Iterator[Raw]:
    for entry in tree.entries:
        where = f"{tree.name}, {entry.path}"
        name = entry.path.parent.name
        if name not in labels:
            raise BadRow(where, f"the class {name!r} is none of {list(labels)}; rename the folder.")
        if entry.size > options.max_image_bytes:
            raise BadRow(
                where,
                f"the file has {entry.size} bytes, more than the {options.max_image_bytes} "
                "allowed; remove or re-encode it.",
            )
        try:
            image = read(entry.lies)
        except (OSError, BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise BadRow(where, f"the file cannot be read ({error}).") from error
        yield Raw(
            image=image,
            label=labels[name],
            where=where,
            sample_id=entry.path.with_suffix("").as_posix(),
            split=entry.path.parts[0] if len(entry.path.parts) == 3 else None,
        )
