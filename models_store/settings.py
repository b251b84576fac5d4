"""Everything that differs between a laptop and a cluster, and nothing else."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """Read once, from the environment, when a process starts. Frozen ever after."""

    model_config = SettingsConfigDict(
        env_prefix="LETHE_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    home: Path = Path(".lethe")
    """The folder of the embedded mode: database, blobs, logs."""

    database_url: SecretStr | None = None
    """`postgresql+psycopg://...`; without it, SQLite inside `home`."""

    broker_url: SecretStr | None = None
    """`redis://...`; without it, workers poll the jobs table."""

    blobs: Path | None = None
    """Folder for weights, pixels and reports, shared by API and workers; default `home`/blobs."""

    shards: str | None = None
    """URL, such as `s3://bucket/pixels`, for the pixels of new datasets; by default among the blobs."""

    shard_cache: Annotated[int, Field(ge=0)] = 32 * 2**30
    """Most bytes of pixels from such a URL that a worker keeps on its disk, for each dataset."""

    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """Comma-separated bearer keys, in clear or as `sha256:<hex>`. Required in server mode."""

    import_roots: Annotated[tuple[Path, ...], NoDecode] = ()
    """Comma-separated folders from which `POST /datasets` may import by path."""

    import_urls: Annotated[tuple[str, ...], NoDecode] = ()
    """Comma-separated URLs, such as `s3://bucket/sets`, below which `POST /datasets` may import."""

    hash_key: SecretStr | None = None
    """Key for the HMAC of erased identifiers; by default made once and kept in the database."""

    max_upload_bytes: Annotated[int, Field(gt=0)] = 8 * 2**30
    """Largest upload of a dataset or of weights."""

    max_body_bytes: Annotated[int, Field(gt=0)] = 16 * 2**20
    """Largest JSON body."""

    max_sample_ids: Annotated[int, Field(gt=0)] = 100_000
    """Most sample or subject IDs that one request may name."""

    lease: timedelta = timedelta(seconds=60)
    """A running job whose worker has been silent this long is taken for lost."""

    beat_every: timedelta = timedelta(seconds=5)
    """How often a worker renews its lease."""

    reap_every: timedelta = timedelta(seconds=5)
    """How often the leader looks for lost jobs."""

    relay_every: timedelta = timedelta(seconds=1)
    """How often the leader rings for jobs that nobody was told about; also the poll interval."""

    ring_again_after: timedelta = timedelta(minutes=10)
    """A job rung this long ago and not claimed is rung again."""

    deaf_after: timedelta = timedelta(minutes=15)
    """A listening worker that is idle while jobs wait for it this long ends, to be started anew."""

    leader_lease: timedelta = timedelta(seconds=3)
    """A leader silent this long is replaced."""

    checkpoint_every: timedelta = timedelta(seconds=30)
    """At least this much time between two checkpoints of a job."""

    max_attempts: Annotated[int, Field(gt=0)] = 3
    """How often a job is begun before it counts as failed."""

    job_time_limit: timedelta = timedelta(hours=5)
    """A worker process that spends longer on one job is killed."""

    parallel: Annotated[int, Field(gt=0)] | None = None
    """Processes of a long forget job; by default one for each GPU that its worker sees."""

    parallel_above: timedelta = timedelta(minutes=10)
    """A method that is predicted to take longer runs in so many processes, if they are several."""

    memory_limit: Annotated[int, Field(gt=0)] | None = None
    """Bytes that a worker process may allocate; a job that needs more fails with `out_of_memory`."""

    checkpoint_grace: timedelta = timedelta(seconds=30)
    """How long a stopping worker may take to save its work."""

    @field_validator("api_keys", "import_roots", "import_urls", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @property
    def embedded(self) -> bool:
        """One machine, SQLite, loopback: no services and no keys are needed."""
        return self.database_url is None

    @property
    def sql_url(self) -> str:
        """Where the database is."""
        if self.database_url is None:
            return f"sqlite:///{self.home.resolve() / 'lethe.db'}"
        return self.database_url.get_secret_value()

    @property
    def blob_folder(self) -> Path:
        """Where bytes lie."""
        return (self.blobs or self.home / "blobs").resolve()
