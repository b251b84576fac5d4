"""What each ratio of `make bench` must reach, and what we want it to."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Bar:
    """What a ratio must reach, and what we want it to."""

    better: str
    must: float | None
    """On a CPU. None: told beside the others, without a bar of its own."""
    goal: float | None
    gpu: tuple[float | None, float | None] | None = None
    """Both on an H200, where they are others."""

    @property
    def here(self) -> tuple[float | None, float | None]:
        """Both on this machine."""
        cpu = (self.must, self.goal)
        return self.gpu if self.gpu and torch.cuda.is_available() else cpu

    def holds(self, value: float) -> bool | None:
        """Is the bar kept?"""
        must = self.here[0]
        if must is None:
            return None
        return value >= must if self.better == "higher" else value <= must


HIGHER, LOWER = "higher", "lower"
BARS: Mapping[str, Bar] = {
    "G0_same_predictions": Bar(HIGHER, 0.995, 0.995),
    "G0_bf16_over_fp32_matmul": Bar(HIGHER, None, None),
    "G1_textbook_over_shrink": Bar(HIGHER, 6, 10, (25, 50)),
    "G2_textbook_over_expanding": Bar(HIGHER, 3.5, 8, (15, 30)),
    "G3_textbook_over_l1_sparse": Bar(HIGHER, 3.5, 4, (5, 8)),
    "G4_textbook_over_evaluation": Bar(HIGHER, 5, 10, (20, 50)),
    "G5_retrain_over_shrink": Bar(HIGHER, 25, 32, (15, 25)),
    "G5_retrain_over_expanding": Bar(HIGHER, 30, 38, (18, 28)),
    "G5_shipped_retrain_over_shrink": Bar(HIGHER, None, None),
    "G5_shipped_retrain_over_expanding": Bar(HIGHER, None, None),
    "G6_boundary_shrink_over_retrain": Bar(LOWER, 0.2, 0.1),
    "G6_boundary_expanding_over_retrain": Bar(LOWER, 0.2, 0.1),
    "G6_l1_sparse_over_retrain": Bar(LOWER, 0.2, 0.1),
    "G6_finetune_over_retrain": Bar(LOWER, 0.2, 0.1),
    "G6_salun_over_retrain": Bar(LOWER, 0.2, 0.1),
    "G6_scrub_over_retrain": Bar(LOWER, 0.2, 0.1),
    "G7_shrink_over_expanding": Bar(LOWER, 1.25, 1.15, (1.3, 1.2)),
    "G8_training_full_over_matmul": Bar(HIGHER, 0.5, 0.6, (0.2, 0.3)),
    "G8_training_resnet18_over_matmul": Bar(HIGHER, 0.5, 0.6, (0.2, 0.3)),
    "G8_eager_over_compiled": Bar(HIGHER, None, None),
    "G8_compiling_over_step": Bar(LOWER, None, None),
    "G9_training_half_over_matmul": Bar(HIGHER, 0.33, 0.45, (0.08, 0.15)),
    "G11_scoring_over_matmul": Bar(HIGHER, 0.55, 0.65, (0.15, 0.3)),
    "G12_forwards_of_an_image": Bar(LOWER, 1, 1),
    "G13_quick_audit_over_shrink": Bar(LOWER, 0.4, 0.15),
    "G13_full_audit_over_shrink": Bar(LOWER, 1.0, 0.4),
    "G15_first_job_over_fifth": Bar(LOWER, 1.2, 1.2),
    "G15_cold_over_warm_start": Bar(HIGHER, 20, 20, (50, 50)),
    "G16_p95_seconds_around_a_job": Bar(LOWER, 0.1, 0.1),
    "G17_boundary_shrink_5000_over_500": Bar(LOWER, 10.5, 10),
    "G17_boundary_expanding_5000_over_500": Bar(LOWER, 10.5, 10),
    "G17_boundary_shrink_linear": Bar(HIGHER, 0.99, 0.99),
    "G17_boundary_expanding_linear": Bar(HIGHER, 0.99, 0.99),
    "G18_shrink_retain_45000_over_4500": Bar(LOWER, 1.05, 1.0),
    "G18_shrink_memory_45000_over_4500": Bar(LOWER, 1.05, 1.0),
    "G19_l1_sparse_forget_5000_over_50": Bar(LOWER, 1.05, 0.9),
    "G20_l1_sparse_ten_together": Bar(LOWER, 0.12, 0.1),
    "G20_boundary_expanding_ten_together": Bar(LOWER, 0.2, 0.1),
    "G21_batch_over_textbook": Bar(LOWER, 0.12, 0.1),
    "G21_batch_over_step": Bar(LOWER, 0.01, 0.01),
    "G22_shipped_epochs_over_ten": Bar(LOWER, 0.7, 0.5),
    "G23_two_jobs_over_one": Bar(HIGHER, 0.95, 1.0, (1.5, 2.5)),
    "G24_team_of_two_over_one": Bar(HIGHER, 0.9, 1.0, (1.7, 1.85)),
    "G25_status_over_bare": Bar(HIGHER, 0.25, 0.4),
    "G25_post_over_bare": Bar(HIGHER, 0.08, 0.15),
    "G26_rows_one_by_one_over_bulk": Bar(HIGHER, 10, 10),
}
