"""Was the forget set the one that the requests name?"""

from dataclasses import dataclass

from workers.evidence import Audit, Evidence, Finding, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class RightSet(Audit):
    """The rows given to the run are exactly the rows that the requests name. A gate.

    A model that forgot the wrong people passes many other tests. The estimate is the number of
    shared rows over the number of all rows on either side (Jaccard's index); 1 is required.

    Source: our own rule; the index is Jaccard, Bulletin Societe Vaudoise 37 (1901).
    """

    def ask(self, evidence: Evidence) -> list[Finding]:
        """One finding, or none for the baseline of a version that forgot nothing."""
        if evidence.goal == "none":
            return []
        asked = set(evidence.requested.tolist())
        gone = set(evidence.removed.tolist())
        reason, verdict = "", Verdict.PASS
        if not asked | gone:
            verdict, reason = Verdict.INCONCLUSIVE, "Neither requests nor run name any row."
        elif asked != gone:
            verdict = Verdict.FAIL
            reason = (
                f"{len(asked - gone)} requested rows were not given to the run, and "
                f"{len(gone - asked)} rows were that nobody named."
            )
        return [
            Finding(
                test="right_set",
                estimate=len(asked & gone) / len(asked | gone) if asked | gone else None,
                n=len(asked),
                unit="share",
                gate="The run's forget set is exactly the set that the requests name.",
                verdict=verdict,
                reason=reason,
                details={"missing": len(asked - gone), "unasked": len(gone - asked)},
            )
        ]
