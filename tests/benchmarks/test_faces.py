"""A person's images are apart from the others', and maps are drawn of both."""

import torch

from benchmarks import faces, nets, picture
from benchmarks.measure import Images
from workers.data.pixels import Resident
from workers.kinds import Samples

N = 80


def images() -> Images:
    chance = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (N, 16, 16, 1), generator=chance).to(torch.uint8)
    rows = torch.arange(N)
    samples = Samples(Resident(pixels), rows % 8, rows)
    return Images(samples, [f"face-{row}" for row in range(N)], rows < 56)


def test_every_image_is_measured_once() -> None:
    sets = faces.sets(images())
    parts = [sets.forget, sets.retain, sets.forget_test, sets.retain_test]

    assert torch.cat(parts).sort().values.tolist() == list(range(N))
    assert set(images().labels[torch.cat([sets.forget, sets.forget_test])].tolist()) == {4}


def test_a_panel_for_each_net_shows_forgotten_unseen_and_retained_images() -> None:
    pictures = images()
    models = {name: nets.built(faces.NET, pictures, seed) for seed, name in enumerate("ab")}

    panels = faces.panels(pictures, models)
    drawn = picture.svg(panels, 2)

    assert [panel.title for panel in panels] == ["a", "b"]
    assert [word.text for word in panels[0].words] == ["forgotten", "never trained", "retained"]
    assert drawn.count("<svg") == drawn.count("</svg>") == 1
    assert drawn.count("never trained") == 2
