"""Accept headers and page tokens, by themselves."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.negotiation import choose
from app.paging import page
from app.problems import BadPageToken, NotAcceptable

JSON, HTML, PDF = "application/json", "text/html", "application/pdf"
ALL = [JSON, PDF, HTML]


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("*/*", JSON),
        (HTML, HTML),
        ("text/*", HTML),
        ("application/*", JSON),
        (f"{JSON};q=0.5, {HTML}", HTML),
        (f"{JSON};q=0.5, {HTML};q=0.4", JSON),
        (f"*/*;q=0.1, {PDF}", PDF),
        (f"*/*, {JSON};q=0", PDF),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", HTML),
        (f"{HTML};level=1", HTML),
        (f"{PDF};q=nonsense, {HTML};q=0.1", HTML),
    ],
)
def test_the_best_liked_form_is_chosen(accept: str | None, chosen: str) -> None:
    assert choose(accept, ALL) == chosen


@pytest.mark.parametrize("accept", ["image/png", f"{JSON};q=0", "nonsense"])
def test_what_cannot_be_had_is_said(accept: str) -> None:
    with pytest.raises(NotAcceptable) as refusal:
        choose(accept, [JSON])

    assert refusal.value.facts == {"available": [JSON]}


@given(st.integers(0, 30), st.integers(1, 10))
def test_pages_give_every_item_once(count: int, size: int) -> None:
    found: list[int] = []
    token: str | None = None
    while True:
        rows, token = page(
            lambda after, limit: [
                n for n in range(count) if after is None or n > after
            ][:limit],
            lambda n: n, int, size=size, token=token, filters={"a": 1},
        )  # fmt: skip
        assert len(rows) <= size
        found += rows
        if token is None:
            break

    assert found == list(range(count))


@given(st.text(max_size=40))
def test_no_token_breaks_a_page(token: str) -> None:
    with pytest.raises(BadPageToken):
        page(lambda _, __: [], lambda _: UUID(int=0), UUID, size=1, token=token, filters={})
