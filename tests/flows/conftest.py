"""One furnished house in each mode, with an API and a worker, shared by the flows of a file."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import House, furnish, open_house


@pytest.fixture(scope="module", params=["embedded", "server"])
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    folder = tmp_path_factory.mktemp(request.param)
    with open_house(folder, migrated=True, **environment(request, folder)) as opened:
        opened.open_api()
        opened.open_worker()
        furnish(opened)
        yield opened


def environment(request: pytest.FixtureRequest, folder: Path) -> dict[str, str]:
    """What tells a house to be a server; nothing for the embedded mode. Its tables are there."""
    if request.param == "embedded":
        (folder / "home").mkdir()
        shutil.copy(request.getfixturevalue("sqlite_template"), folder / "home" / "lethe.db")
        return {}
    postgres = request.getfixturevalue("postgres")
    template = request.getfixturevalue("postgres_template")
    redis = request.getfixturevalue("redis_server")
    return {
        "LETHE_DATABASE_URL": postgres.url(postgres.create_database(template)),
        "LETHE_BROKER_URL": redis.url,
        "LETHE_BLOBS": str(folder / "blobs"),
    }
