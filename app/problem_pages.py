"""The list of problems: status, title, what each means and what to do; also the pages on them."""

from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Page:
    """What people may read about a kind of problem."""

    status: int
    title: str
    means: str
    remedy: str


PROBLEMS: dict[str, Page] = {
    "validation": Page(
        422, "The call does not fit the API",
        "A field is missing, unknown, of the wrong type or out of bounds. `errors` lists each, "
        "with a JSON pointer into the body or the name of the parameter.",
        "Correct the fields that `errors` points at; `/openapi.json` describes every one.",
    ),
    "malformed-body": Page(
        400, "The body cannot be read",
        "It is not valid JSON or multipart/form-data, is nested too deep, or broke off.",
        "Check how the body is written and sent, and send it again.",
    ),
    "malformed-key": Page(
        400, "The Idempotency-Key cannot be read",
        "A key has 1 to 255 visible ASCII characters, with or without double quotes.",
        "Send a fresh UUID as the key.",
    ),
    "bad-page-token": Page(
        400, "The page token does not fit",
        "It was not given out by this list, or the filters have changed since.",
        "Start again without a token, or keep the filters while you page.",
    ),
    "unauthenticated": Page(
        401, "A key is needed",
        "The call carries no key, or one that is not known here.",
        "Send `Authorization: Bearer <key>` with one of the keys in LETHE_API_KEYS.",
    ),
    "forbidden-path": Page(
        403, "The path may not be imported from",
        "Imports by path are confined to the folders in LETHE_IMPORT_ROOTS, links resolved, and to "
        "the URLs in LETHE_IMPORT_URLS.",
        "Move the dataset below one of these, or upload it.",
    ),
    "not-found": Page(
        404, "There is no such thing",
        "Nothing has this id or name, or it belongs to another key.",
        "Check the id; the lists show what exists.",
    ),
    "method-not-allowed": Page(
        405, "The path does not take this method",
        "The path exists, but not for this HTTP method; `Allow` names those that it takes.",
        "See `/openapi.json` for what each path takes.",
    ),
    "not-acceptable": Page(
        406, "There is no such representation",
        "The resource cannot be had in any media type that `Accept` names.",
        "Ask for one of those in `available`, or leave `Accept` out.",
    ),
    "invalid-transition": Page(
        409, "Its life does not go that way",
        "The request or version is not in a state from which this can be done.",
        "Read it again: `next_actions` says what can be done now.",
    ),
    "name-taken": Page(
        409, "The name is taken",
        "Another thing of this kind has the name already.",
        "Choose another name.",
    ),
    "not-ready": Page(
        409, "It must wait",
        "An import or a check has not ended yet, or no version is served.",
        "Follow the job that it waits for, then try again.",
    ),
    "not-finished": Page(
        409, "The request has not ended",
        "A certificate exists only for a request that has ended.",
        "Wait for the request to end.",
    ),
    "remembers-erased-data": Page(
        409, "The version remembers erased data",
        "Serving it would bring back data that requests have had erased; `requests` names them.",
        "Serve `newest_clean` instead, or retrain.",
    ),
    "lost-claim": Page(
        409, "The attempt no longer holds its job",
        "Another attempt took the job over, or the job has ended.",
        "Nothing: the other attempt carries on.",
    ),
    "version-revoked": Page(
        410, "The version has been withdrawn",
        "It remembers data that has been erased, or failed its audit.",
        "Use the version that `successor` names.",
    ),
    "too-large": Page(
        413, "It is larger than the limit",
        "The body, the upload or the list of IDs is longer than this service takes.",
        "Split it, or have the operator raise LETHE_MAX_BODY_BYTES, LETHE_MAX_UPLOAD_BYTES or "
        "LETHE_MAX_SAMPLE_IDS.",
    ),
    "unsafe-format": Page(
        415, "The file is of no format that is safe to read",
        "Weights are taken as safetensors only, datasets as .parquet, .npz or .zip. Pickles can "
        "run any code when they are read and are refused unread.",
        "Convert the file: `safetensors.torch.save_file(model.state_dict(), path)`.",
    ),
    "unsupported-media-type": Page(
        415, "The content type is not read here",
        "The path takes another content type than the one that was sent.",
        "Send JSON as application/json, files as multipart/form-data.",
    ),
    "range-not-satisfiable": Page(
        416, "The range lies beyond the end",
        "The file is shorter than the start of the range that was asked for.",
        "Ask for a range within the size that `Content-Range` gives.",
    ),
    "unknown-samples": Page(
        422, "The target is not in the dataset",
        "It names samples, subjects, a class or splits that the model's dataset does not have; "
        "nothing was accepted.",
        "Take out what `unknown` lists.",
    ),
    "invalid-params": Page(
        422, "The parameters do not fit",
        "No worker offers this method, architecture or recipe, or not with these parameters.",
        "See `GET /methods` for names and schemas.",
    ),
    "no-recipe": Page(
        422, "Exact unlearning needs a recipe",
        "Training again without the forgotten data needs to know how the model was trained.",
        "Register the weights with their recipe, or choose the quality lane.",
    ),
    "key-reused": Page(
        422, "The Idempotency-Key belongs to another body",
        "The key came before, with a different body.",
        "Use a new key for a new request.",
    ),
    "digest-mismatch": Page(
        500, "Bytes have been damaged",
        "Stored bytes no longer have the digest that names them.",
        "Run `lethe doctor`, and restore the file from a backup.",
    ),
    "internal": Page(
        500, "A mistake of ours",
        "Something went wrong that should not have.",
        "Try again; if it stays, look into the log under `request_id`.",
    ),
    "database-unavailable": Page(
        503, "The database does not answer",
        "Nothing was accepted, except where the connection broke during the commit itself.",
        "Try again after `Retry-After` seconds, with the same Idempotency-Key.",
    ),
    "object-store-unavailable": Page(
        503, "The object store does not answer",
        "The pixels of datasets lie in an object store that cannot be reached, or does not let us "
        "in.",
        "Check its address and the credentials, then try again.",
    ),
    "storage-full": Page(
        507, "There is no room left",
        "The disk under the blob folder is full; nothing of the upload was kept.",
        "Free some room, then send it again.",
    ),
}  # fmt: skip


def html(slug: str) -> str:
    """A page about one kind of problem."""
    page = PROBLEMS[slug]
    means, remedy = (escape(text) for text in (page.means, page.remedy))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" '
        f'content="light dark"><title>{escape(page.title)}</title>'
        "<style>body{font:1rem/1.5 system-ui;max-width:40rem;margin:3rem auto;padding:0 1rem}"
        f"</style><h1>{escape(page.title)}</h1><p><code>{escape(slug)}</code>, "
        f"status {page.status}</p><h2>What it means</h2><p>{means}</p>"
        f"<h2>What to do</h2><p>{remedy}</p></html>"
    )
