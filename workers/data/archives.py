"""What a .zip file must be like before anything is read from it."""

import stat
from pathlib import Path, PurePosixPath, PureWindowsPath
from zipfile import ZipFile, ZipInfo

from workers.data.records import BadRow, ImportOptions

HARMLESS_BYTES = 1 << 26
ENCRYPTED = 0x1


def safe_members(archive: ZipFile, path: Path, options: ImportOptions) -> list[ZipInfo]:
    """The files of an archive, folders left out; raises `BadRow` if any is not plain and inside.

    Nothing is ever unpacked to disk; a name that points outside is refused all the same, because
    it becomes a sample's ID. Sizes are those of the directory: zipfile reads no byte beyond them.
    """
    members = [info for info in archive.infolist() if not info.is_dir()]
    for info in members:
        where = f"{path.name}, entry {info.filename!r}"
        if _points_outside(info.filename):
            raise BadRow(where, "the name points outside the archive; rename it.")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
            raise BadRow(where, "this is a symbolic link or a device; put the file itself there.")
        if info.flag_bits & ENCRYPTED:
            raise BadRow(where, "it is encrypted; store it without a password.")
    unpacked, packed = sum(info.file_size for info in members), path.stat().st_size
    if unpacked > options.max_bytes:
        raise BadRow(path.name, f"it unpacks to {unpacked} bytes, more than {options.max_bytes}.")
    if unpacked > max(HARMLESS_BYTES, options.max_ratio * packed):
        raise BadRow(
            path.name,
            f"it unpacks to {unpacked} bytes, over {options.max_ratio} times its size of {packed}.",
        )
    return members


def _points_outside(name: str) -> bool:
    return (
        PurePosixPath(name).is_absolute()
        or bool(PureWindowsPath(name).drive)
        or "\\" in name
        or ".." in PurePosixPath(name).parts
    )
