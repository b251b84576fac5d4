"""When a certificate may stand in for a test that a request is too small for."""

from collections.abc import Sequence

from workers.attacks import ENOUGH
from workers.evidence import Control, Finding, Verdict

EXPOSED = "per_record.exposed"
BACKED = (
    "The images are too few for a test of their own. None of them stands out, no check failed, and "
    "the method holds a certificate."
)


def suffices(findings: Sequence[Finding], controls: Sequence[Control], decisive: Finding) -> bool:
    """Does nothing but the number of images stand between a version and a pass?

    All of tier 0 passes and nothing of tier 1 fails; the decisive attack lacks power; the pool was
    asked about each image and none stands out; and what is known of the controls is as expected.
    """
    screened = all(f.verdict in (None, Verdict.PASS) for f in findings if f.tier == 0)
    failed = any(found.verdict is Verdict.FAIL for found in findings)
    quiet = any(found.test == EXPOSED and found.verdict is Verdict.PASS for found in findings)
    weak = decisive.power is None or decisive.power < ENOUGH
    told = all(each.as_expected or each.verdict is Verdict.INCONCLUSIVE for each in controls)
    return screened and not failed and quiet and weak and told
