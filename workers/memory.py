"""Memory of the C library: what a step has freed stays at hand for the next one, in large pages.

Left to itself, glibc hands every large block back to the system at once, and each step pays for
the same pages anew, one fault for each 4 KiB: an eighth of a Boundary step on a CPU.
"""

import ctypes
import os

MMAP_MAX, TRIM_THRESHOLD = -4, -1
"""Parameters of mallopt(3)."""
NEVER = 2**31 - 1
"""A threshold in bytes that is not reached; the largest that fits."""


def keep() -> None:
    """From now on freed memory stays with this process, until `let_go`.

    Call it before the first tensor: torch asks its environment once whether blocks of 2 MiB and
    more go into large pages. Without glibc only that happens.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(MMAP_MAX, 0)
        libc.mallopt(TRIM_THRESHOLD, NEVER)


def let_go() -> None:
    """What is free goes back to the system: between jobs a worker holds what it uses."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
