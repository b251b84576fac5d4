"""scikit-learn's handwritten digits as a file that Lethe imports: `python digits.py digits.npz`.

1,797 real images of 8x8 grey pixels come with scikit-learn. One in four is put aside for the test
split, by a fixed seed, so that every run names the same images.
"""

import sys

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def main(target: str) -> None:
    """Write images, labels, sample IDs and splits to `target`."""
    digits = load_digits()
    numbers = np.arange(len(digits.target))
    _, test = train_test_split(numbers, test_size=0.25, random_state=0, stratify=digits.target)
    np.savez_compressed(
        target,
        images=(digits.images / digits.images.max() * 255).astype(np.uint8),
        labels=digits.target,
        sample_id=np.array([f"digit-{number:04d}" for number in numbers]),
        split=np.where(np.isin(numbers, test), "test", "train"),
        class_names=np.array([str(name) for name in digits.target_names]),
    )


if __name__ == "__main__":
    main(sys.argv[1])
