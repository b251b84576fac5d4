"""What the hand makes of a command line about requests."""

from pathlib import Path

from lethe.requests import listed_in


def test_sample_ids_are_lines_and_may_hold_spaces(tmp_path: Path) -> None:
    file = tmp_path / "ids.txt"
    file.write_text("train/my cat.png\r\n\n  train/dog.png  \n")

    assert listed_in(file) == ["train/my cat.png", "train/dog.png"]
