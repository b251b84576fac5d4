"""What single audits answer, against counting by hand."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
import toy
from scipy import stats
from toy import World, everything, evidence

from workers.audits.asr import best_threshold
from workers.audits.look_alike import LookAlike
from workers.audits.redistribution import Redistribution
from workers.audits.relearn import Relearn
from workers.audits.repair import Repair
from workers.audits.svc_mia import SvcMia
from workers.audits.two_versions import diverged
from workers.audits.utility import Utility
from workers.evidence import Evidence, Verdict
from workers.signals import probabilities
from workers.verdicts import headline


@pytest.fixture(scope="module")
def world() -> World:
    return toy.world()


@pytest.fixture(scope="module")
def seen(world: World) -> Evidence:
    """A model retrained without the class."""
    return evidence(world, world.retrained)


def test_a_retrained_model_scores_near_one_half_and_the_original_above(
    world: World, seen: Evidence
) -> None:
    found = everything(seen)["membership.auc"]

    assert found.before is not None
    assert found.estimate is not None
    assert abs(found.estimate - 0.5) < 0.12
    assert found.before > 0.65
    assert found.details["reading"] != "fail"


def test_ten_images_do_not_resolve_one_percent(seen: Evidence) -> None:
    found = everything(seen)["membership.tpr"]

    assert found.estimate is None
    assert "do not resolve" in found.reason


def test_the_attack_s_threshold_is_the_best_of_all() -> None:
    rng = np.random.default_rng(0)
    members, others = rng.integers(0, 9, 30) / 9, rng.integers(0, 7, 40) / 9

    threshold = best_threshold(members, others)

    def success(at: float) -> float:
        return float((members > at).mean() + (others <= at).mean())

    assert success(threshold) == max(map(success, [-1.0, *members, *others]))


def test_mia_efficacy_is_the_share_called_non_member(world: World, seen: Evidence) -> None:
    found = {finding.test: finding for finding in SvcMia().ask(seen)}

    confidence = found["svc_mia.confidence"]
    assert next(iter(found)) == "svc_mia.confidence"
    assert len(found) == 5
    assert confidence.estimate is not None
    assert confidence.before is not None
    assert confidence.estimate > 0.9
    assert confidence.before < 0.5
    assert found["svc_mia.correctness"].estimate == 1.0


def test_the_worst_class_is_found_by_its_own_drop(seen: Evidence) -> None:
    logits = seen.before.logits.clone()
    at = seen.before.positions(seen.parts["retain_test"])
    struck = at[seen.before.labels[at] == 1][:30]
    logits[struck, 1] = -50.0

    (_, worst) = Utility().ask(replace(seen, after=replace(seen.before, logits=logits)))

    assert worst.details["label"] == 1
    assert worst.verdict is Verdict.FAIL
    assert worst.details["drops"]["0"] == 0.0


def lost(seen: Evidence, per_class: int, missed: dict[int, int]) -> Evidence:
    """Only `per_class` test images a class, all right before; some of each label missed after."""
    before = seen.before.logits.clone()
    at = seen.before.positions(seen.parts["retain_test"])
    labels = seen.before.labels
    before[at, labels[at]] = 50.0
    after, chosen = before.clone(), []
    for label in range(3):
        mine = at[labels[at] == label][:per_class]
        after[mine[: missed.get(label, 0)], label] = -50.0
        chosen.append(seen.before.rows[mine])
    return replace(
        seen,
        before=replace(seen.before, logits=before),
        after=replace(seen.before, logits=after),
        parts={**seen.parts, "retain_test": torch.cat(chosen)},
    )


@pytest.mark.parametrize(
    ("per_class", "missed", "verdict"),
    [
        (36, {1: 2}, Verdict.PASS),
        (36, {1: 4}, Verdict.INCONCLUSIVE),
        (36, {1: 12}, Verdict.FAIL),
        (5, {0: 2, 1: 2, 2: 2}, Verdict.FAIL),
        (5, {1: 3}, Verdict.INCONCLUSIVE),
    ],
)
def test_a_drop_is_judged_by_what_so_many_images_can_show(
    seen: Evidence, per_class: int, missed: dict[int, int], verdict: Verdict
) -> None:
    (_, worst) = Utility().ask(lost(seen, per_class, missed))

    assert worst.verdict is verdict


def test_a_class_without_test_images_leaves_the_verdict_open(seen: Evidence) -> None:
    found = everything(replace(seen, parts=toy.emptied(seen.parts, "forget_test")))

    assert found["forgetting.d_ft"].verdict is Verdict.INCONCLUSIVE
    assert headline(found.values()) is Verdict.INCONCLUSIVE


def test_histograms_count_every_image_once(seen: Evidence) -> None:
    found = everything(seen)

    for signal in ("loss", "entropy", "margin"):
        details = found[f"histograms.{signal}"].details
        assert sum(details["after"]["retain"]) == len(seen.parts["retain"])
        assert sum(details["before"]["forget"]) == len(seen.parts["forget"])
        assert details["edges"] == sorted(details["edges"])


def test_the_destination_counts_the_neighbour_s_label(world: World, seen: Evidence) -> None:
    searched = replace(seen, run={**seen.run, "flipped": 0.75})
    found = everything(searched)["destination"]

    assert found.details["flipped"] == 0.75
    zeros = found.details["predicted_after"][0]
    assert found.estimate == pytest.approx(zeros / toy.PER_CLASS)
    assert found.before == 0.0


def test_weights_that_are_nearly_zero_are_not_counted_as_zeros(seen: Evidence) -> None:
    twin = deepcopy(seen.model_after)
    with torch.no_grad():
        for weight in twin.parameters():
            weight.fill_(1.0)
        twin[0].weight[0], twin[0].weight[1] = 0.0, -1e-5  # type: ignore[index, operator]

    found = everything(replace(seen, model_after=twin))["sparsity.convolutions"]

    convolutions = 16 * 9 + 16 * 16 * 9
    assert found.estimate == 9 / convolutions
    assert found.details["nearly_after"] == 18 / convolutions


def test_a_class_that_is_only_hidden_is_back_sooner_than_one_that_was_never_seen(
    world: World, seen: Evidence
) -> None:
    audit = Relearn(images=20, judged=30, epochs=4)

    (hidden,) = audit.ask(toy.armed(world, evidence(world, toy.shaken(world.original, 1))))
    (gone,) = audit.ask(toy.armed(world, seen))

    assert hidden.verdict is Verdict.FAIL
    assert gone.verdict is Verdict.PASS
    assert len(gone.details["curve"]) == 4
    assert hidden.estimate is not None
    assert gone.estimate is not None
    assert hidden.estimate > gone.estimate


def test_labels_at_random_for_a_class_are_no_place_where_retrained_models_put_it(
    world: World, seen: Evidence
) -> None:
    logits = seen.after.logits.clone()
    logits[seen.after.positions(seen.parts["forget"])] = 0.0
    flat = replace(seen, after=replace(seen.after, logits=logits))

    (fails,) = Redistribution().ask(toy.armed(world, flat))
    (passes,) = Redistribution().ask(toy.armed(world, seen))

    assert (fails.verdict, passes.verdict) == (Verdict.FAIL, Verdict.PASS)


def test_outputs_that_are_those_of_the_look_alike_are_not_set_apart_from_it(
    world: World, seen: Evidence
) -> None:
    armed = toy.armed(world, seen)
    gone = seen.after.positions(seen.parts["forget"])
    taken = armed.retrains[0].scores.logits[gone].mean(0)
    taken[toy.GONE] = -torch.inf
    alike = seen.after.positions(seen.parts["retain_test"])
    alike = alike[seen.after.labels[alike] == taken.argmax()]
    logits = seen.after.logits.clone()
    logits[gone] = seen.after.logits[alike].mean(0)

    (posed,) = LookAlike().ask(replace(armed, after=replace(seen.after, logits=logits)))
    (plain,) = LookAlike().ask(armed)

    assert posed.estimate == 0.0
    assert plain.estimate is not None
    shares = plain.details["retrained"]
    assert min(shares) - 0.2 < plain.estimate < max(shares) + 0.2
    assert plain.verdict is None


def test_the_features_of_the_original_hold_the_class(world: World, seen: Evidence) -> None:
    masked = evidence(world, toy.masked(world.original))

    hidden = {f.test: f for f in Repair().ask(toy.armed(world, masked))}
    gone = {f.test: f for f in Repair().ask(toy.armed(world, seen))}

    for test in ("repair.prototype", "repair.probe"):
        assert hidden[test].estimate == hidden[test].before
        assert gone[test].verdict is Verdict.PASS


def test_the_divergence_of_two_outputs_is_that_of_jensen_and_shannon(seen: Evidence) -> None:
    p, q = probabilities(seen.before), probabilities(seen.after)
    middle = (p + q) / 2

    found = diverged(seen.before, seen.after)

    by_hand = (stats.entropy(p, middle, axis=1) + stats.entropy(q, middle, axis=1)) / 2
    assert found == pytest.approx(by_hand, abs=1e-12)
    assert found.max() <= np.log(2) + 1e-12
