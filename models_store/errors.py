"""What the store refuses to do, each refusal with its public name and its facts.

None of them knows HTTP: `app/problems.py` chooses the status code, so that a worker or the
command line can meet the same refusal and read it just as well.
"""

from typing import Any, ClassVar


class Refusal(Exception):
    """Base of everything the store says no to. `slug` is public and never changes."""

    slug: ClassVar[str] = "refusal"

    def __init__(self, detail: str, **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts


class NotFound(Refusal):
    """There is no such thing, or it belongs to somebody else."""

    slug = "not-found"


class InvalidTransition(Refusal):
    """It exists, but its life does not go that way."""

    slug = "invalid-transition"


class NameTaken(Refusal):
    """Another thing of this kind already has the name."""

    slug = "name-taken"


class KeyReused(Refusal):
    """The same Idempotency-Key came with a different body."""

    slug = "key-reused"


class UnknownSamples(Refusal):
    """The target names samples, a class or subjects that the model's dataset does not have."""

    slug = "unknown-samples"


class InvalidParams(Refusal):
    """The method, architecture or option does not take these parameters."""

    slug = "invalid-params"


class NoRecipe(Refusal):
    """Exact unlearning needs the recipe by which the model was trained."""

    slug = "no-recipe"


class NotReady(Refusal):
    """It exists, but what is asked of it must wait: an import or a check has not ended."""

    slug = "not-ready"


class NotFinished(Refusal):
    """What is asked for exists only once the request has ended."""

    slug = "not-finished"


class UnsafeFormat(Refusal):
    """The upload is not in a format that is safe to read."""

    slug = "unsafe-format"


class TooLarge(Refusal):
    """The upload or list is larger than the limit."""

    slug = "too-large"


class DigestMismatch(Refusal):
    """The bytes are not the ones that their digest names."""

    slug = "digest-mismatch"


class VersionRevoked(Refusal):
    """The version is withdrawn because it remembers erased data; `successor` names a clean one."""

    slug = "version-revoked"


class RemembersErased(Refusal):
    """The version may not be served: it remembers data that requests have had erased."""

    slug = "remembers-erased-data"


class StorageFull(Refusal):
    """There is no room left for the bytes."""

    slug = "storage-full"


class ForbiddenPath(Refusal):
    """The path lies outside the folders that may be imported from."""

    slug = "forbidden-path"


class Unavailable(Refusal):
    """The database does not answer. Nothing was accepted; try again."""

    slug = "database-unavailable"


class ObjectsAway(Refusal):
    """The object store with the pixels does not answer, or does not let us in."""

    slug = "object-store-unavailable"


class LostClaim(Refusal):
    """This attempt no longer holds its job: another attempt does, or the job has ended."""

    slug = "lost-claim"
