"""scikit-learn's digits as a dataset that can be imported: each is of a person who has three."""

import subprocess
import sys
from functools import cache
from pathlib import Path


def digits_npz(folder: Path, count: int = 600) -> Path:
    """scikit-learn's digits as an .npz."""
    path = folder / "digits.npz"
    path.write_bytes(_digits(count))
    return path


@cache
def _digits(count: int) -> bytes:
    """Made by a process of its own, once."""
    code = (
        "import io, numpy as np, sys\n"
        "from sklearn.datasets import load_digits\n"
        "d = load_digits(); n = int(sys.argv[1]); made = io.BytesIO()\n"
        "images = (d.images[:n] * 15.9375).astype('uint8')[..., None]\n"
        "split = np.where(np.arange(n) % 4 == 0, 'test', 'train')\n"
        "ids = np.array([f'digit-{i:04d}' for i in range(n)])\n"
        "people = np.array([f'person-{i // 3:03d}' for i in range(n)])\n"
        "np.savez(made, images=images, labels=d.target[:n], sample_id=ids,"
        " subject_id=people, split=split)\n"
        "sys.stdout.buffer.write(made.getvalue())\n"
    )
    made = subprocess.run(
        [sys.executable, "-c", code, str(count)], check=True, stdout=subprocess.PIPE
    )
    return made.stdout
