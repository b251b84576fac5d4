"""Opens furnished houses for the chaos tests, and takes them down at the end."""

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from scene import Scene, staged
from services import Postgres, Redis, not_run


class Stage:
    """Opens scenes, and strikes them all at the end."""

    def __init__(self, request: pytest.FixtureRequest, stack: ExitStack) -> None:
        self.request = request
        self.stack = stack

    def embedded(self) -> Scene:
        """SQLite, and no services."""
        folder = self._folder(self.request.getfixturevalue("sqlite_home"))
        return self.stack.enter_context(staged(folder, "embedded"))

    def server(self, redis: Redis | None) -> Scene:
        """PostgreSQL, and this Redis; without one, workers poll."""
        home, template = self.request.getfixturevalue("postgres_home")
        postgres: Postgres = self.request.getfixturevalue("postgres")
        folder = self._folder(home)
        where = {
            "LETHE_DATABASE_URL": postgres.url(postgres.create_database(template)),
            "LETHE_BLOBS": str(folder / "home" / "blobs"),
        }
        if redis is not None:
            where["LETHE_BROKER_URL"] = redis.url
        return self.stack.enter_context(staged(folder, "server", **where))

    def own_redis(self) -> Redis:
        """A Redis that may be killed."""
        if Redis.missing():
            not_run("Redis is not installed (Debian: apt-get install redis-server)")
        server = Redis()
        self.stack.callback(server.remove)
        server.start()
        return server

    def _folder(self, home: Path) -> Path:
        folder: Path = self.request.getfixturevalue("tmp_path_factory").mktemp("house")
        shutil.copytree(home, folder / "home")
        return folder
