"""One furnished house in each mode, with an API and a worker, shared by the flows of a file."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from house import House, furnish, open_house


@pytest.fixture(scope="module", params=["embedded", "server"])
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    folder = tmp_path_factory.mktemp(request.param)
    with open_house(folder, **environment(request, folder)) as opened:
        opened.open_api()
        opened.open_worker()
        furnish(opened)
        yield opened


def environment(request: pytest.FixtureRequest, folder: Path) -> dict[str, str]:
    """What tells a house to be a server; nothing for the embedded mode."""
    if request.param == "embedded":
        return {}
    postgres = request.getfixturevalue("postgres")
    redis = request.getfixturevalue("redis_server")
    return {
        "LETHE_DATABASE_URL": postgres.url(postgres.create_database()),
        "LETHE_BROKER_URL": redis.url,
        "LETHE_BLOBS": str(folder / "blobs"),
    }
