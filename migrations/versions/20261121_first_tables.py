"""The first tables, and the trigger that keeps events append-only."""

import sqlalchemy as sa
from alembic import op

from models_store.columns import Instant, Json, Serial, now

revision = "0001"
down_revision = None

UPDATE_OR_DELETE = ("UPDATE", "DELETE")


def _refuse_changes_to_events() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in UPDATE_OR_DELETE:
            op.execute(
                f"CREATE TRIGGER events_no_{verb.lower()} BEFORE {verb} ON events "
                "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION events_are_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'events are append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON events "
        "FOR EACH STATEMENT EXECUTE FUNCTION events_are_append_only()"
    )


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "blobs",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.String(length=100), nullable=False),
        sa.Column("created_at", Instant(), server_default=now(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_blobs"),
    )
    op.create_table(
        "datasets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "importing",
                "ready",
                "failed",
                "duplicate",
                name="datasetstate",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("fingerprint", sa.String(length=64), nullable=True),
        sa.Column("class_names", Json, nullable=False),
        sa.Column("shape", Json, nullable=False),
        sa.Column("counts", Json, nullable=False),
        sa.Column("same_as", sa.Uuid(), nullable=True),
        sa.Column("row_version", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), server_default=now(), nullable=False),
        sa.ForeignKeyConstraint(["same_as"], ["datasets.id"], name="fk_datasets_same_as"),
        sa.PrimaryKeyConstraint("id", name="pk_datasets"),
    )
    op.create_index(
        "uq_datasets_ready_fingerprint",
        "datasets",
        ["fingerprint"],
        unique=True,
        sqlite_where=sa.text("state = 'ready'"),
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.create_index(
        "uq_datasets_ready_name",
        "datasets",
        ["name"],
        unique=True,
        sqlite_where=sa.text("state = 'ready'"),
        postgresql_where=sa.text("state = 'ready'"),
    )

    op.create_table(
        "events",
        sa.Column("seq", Serial, nullable=False),
        sa.Column("chain", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("prev_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_events"),
        sa.UniqueConstraint("hash", name="uq_events_hash"),
    )
    op.create_index("ix_events_chain_seq", "events", ["chain", "seq"], unique=False)
    op.create_index("ix_events_request_id_seq", "events", ["request_id", "seq"], unique=False)

    op.create_table(
        "locks",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=200), nullable=False),
        sa.Column("expires_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_locks"),
    )
    op.create_table(
        "offers",
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("schema", Json, nullable=False),
        sa.Column("traits", Json, nullable=False),
        sa.Column("offered_at", Instant(), server_default=now(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", name="pk_offers"),
    )
    op.create_table(
        "secrets",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_secrets"),
    )
    op.create_table(
        "tombstones",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(length=64), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("dataset_id", sa.Uuid(), nullable=True),
        sa.Column("erased_at", Instant(), server_default=now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_tombstones"),
    )
    op.create_index("ix_tombstones_digest", "tombstones", ["digest"], unique=False)

    op.create_table(
        "workers",
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("queues", Json, nullable=False),
        sa.Column("device", sa.String(length=100), nullable=False),
        sa.Column("host", sa.String(length=200), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("software", Json, nullable=False),
        sa.Column("rates", Json, nullable=False),
        sa.Column("started_at", Instant(), server_default=now(), nullable=False),
        sa.Column("last_beat_at", Instant(), server_default=now(), nullable=False),
        sa.Column("stopped_at", Instant(), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_workers"),
    )
    op.create_table(
        "models",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("architecture", sa.String(length=200), nullable=False),
        sa.Column("parameters", Json, nullable=False),
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("mean", Json, nullable=False),
        sa.Column("std", Json, nullable=False),
        sa.Column("policy", Json, nullable=False),
        sa.Column("next_version", sa.Integer(), nullable=False),
        sa.Column("row_version", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), server_default=now(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name="fk_models_dataset_id"),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        sa.UniqueConstraint("name", name="uq_models_name"),
    )
    op.create_index("ix_models_dataset_id", "models", ["dataset_id"], unique=False)

    op.create_table(
        "samples",
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("sample_id", sa.String(length=500), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("label", sa.Integer(), nullable=False),
        sa.Column("split", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=500), nullable=True),
        sa.Column("forgotten_by", sa.Uuid(), nullable=True),
        sa.Column("erased_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name="fk_samples_dataset_id"),
        sa.PrimaryKeyConstraint("dataset_id", "sample_id", name="pk_samples"),
        sa.UniqueConstraint("dataset_id", "position", name="uq_samples_dataset_id_position"),
    )
    op.create_index(
        "ix_samples_dataset_id_forgotten_by",
        "samples",
        ["dataset_id", "forgotten_by"],
        unique=False,
    )
    op.create_index("ix_samples_dataset_id_label", "samples", ["dataset_id", "label"], unique=False)
    op.create_index(
        "ix_samples_dataset_id_subject", "samples", ["dataset_id", "subject"], unique=False
    )

    op.create_table(
        "shards",
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name="fk_shards_dataset_id"),
        sa.PrimaryKeyConstraint("dataset_id", "number", name="pk_shards"),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "import",
                "check",
                "train",
                "forget",
                "audit",
                "pool",
                "certify",
                "tune",
                "erase",
                name="jobkind",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("model_id", sa.Uuid(), nullable=True),
        sa.Column("dataset_id", sa.Uuid(), nullable=True),
        sa.Column(
            "queue",
            sa.Enum(
                "fast",
                "quality",
                "exact",
                "upkeep",
                name="queue",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("batch", sa.String(length=200), nullable=True),
        sa.Column("follows", sa.Uuid(), nullable=True),
        sa.Column("task", Json, nullable=False),
        sa.Column("base_version", sa.Integer(), nullable=True),
        sa.Column("method", sa.String(length=100), nullable=True),
        sa.Column(
            "status",
            sa.Enum(
                "queued",
                "running",
                "succeeded",
                "failed",
                "cancelled",
                name="jobstatus",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(length=200), nullable=True),
        sa.Column("lease_expires_at", Instant(), nullable=True),
        sa.Column("cancel_requested_at", Instant(), nullable=True),
        sa.Column(
            "phase",
            sa.Enum(
                "preparing",
                "unlearning",
                "training",
                "importing",
                "auditing",
                "publishing",
                name="phase",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=True,
        ),
        sa.Column("progress", Json, nullable=False),
        sa.Column("prediction", Json, nullable=True),
        sa.Column("checkpoint", Json, nullable=True),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("result", Json, nullable=True),
        sa.Column("failure", Json, nullable=True),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("rung_at", Instant(), nullable=True),
        sa.Column("created_at", Instant(), server_default=now(), nullable=False),
        sa.Column("started_at", Instant(), nullable=True),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("row_version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "status <> 'running' OR lease_expires_at IS NOT NULL", name="ck_jobs_leased"
        ),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name="fk_jobs_dataset_id"),
        sa.ForeignKeyConstraint(["follows"], ["jobs.id"], name="fk_jobs_follows"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_jobs_model_id"),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_model_id", "jobs", ["model_id"], unique=False)
    op.create_index(
        "ix_jobs_status_queue_due_at", "jobs", ["status", "queue", "due_at"], unique=False
    )
    op.create_index(
        "uq_jobs_running_forget",
        "jobs",
        ["model_id"],
        unique=True,
        sqlite_where=sa.text("status = 'running' AND kind = 'forget'"),
        postgresql_where=sa.text("status = 'running' AND kind = 'forget'"),
    )
    op.create_index(
        "uq_jobs_waiting_batch",
        "jobs",
        ["model_id", "batch"],
        unique=True,
        sqlite_where=sa.text("status = 'queued' AND attempt = 0 AND batch IS NOT NULL"),
        postgresql_where=sa.text("status = 'queued' AND attempt = 0 AND batch IS NOT NULL"),
    )

    op.create_table(
        "attempts",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("worker", sa.String(length=200), nullable=False),
        sa.Column("device", sa.String(length=100), nullable=False),
        sa.Column("started_at", Instant(), server_default=now(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("outcome", sa.String(length=24), nullable=True),
        sa.Column("failure", Json, nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_attempts_job_id"),
        sa.PrimaryKeyConstraint("job_id", "attempt", name="pk_attempts"),
    )
    op.create_table(
        "requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=True),
        sa.Column("body_digest", sa.String(length=64), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("target", Json, nullable=False),
        sa.Column(
            "lane",
            sa.Enum(
                "fast",
                "quality",
                "exact",
                name="lane",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=True,
        ),
        sa.Column("method", sa.String(length=100), nullable=True),
        sa.Column("params", Json, nullable=False),
        sa.Column(
            "regime",
            sa.Enum(
                "gdpr",
                "uk_gdpr",
                "ccpa",
                "voluntary",
                name="regime",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column(
            "status",
            sa.Enum(
                "accepted",
                "awaiting_approval",
                "queued",
                "running",
                "succeeded",
                "failed",
                "cancelled",
                "denied",
                name="requeststatus",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("target_count", sa.Integer(), nullable=False),
        sa.Column("already_forgotten", Json, nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("interim_version", sa.Integer(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=True),
        sa.Column("failure", Json, nullable=True),
        sa.Column("decision", Json, nullable=True),
        sa.Column("received_at", Instant(), server_default=now(), nullable=False),
        sa.Column("due_at", Instant(), nullable=True),
        sa.Column("extended_at", Instant(), nullable=True),
        sa.Column("extension_reason", sa.Text(), nullable=True),
        sa.Column("finished_at", Instant(), nullable=True),
        sa.Column("row_version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "due_at IS NULL OR due_at > received_at", name="ck_requests_due_after_received"
        ),
        sa.CheckConstraint(
            "extended_at IS NULL OR extension_reason IS NOT NULL", name="ck_requests_reasoned"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_requests_job_id"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_requests_model_id"),
        sa.PrimaryKeyConstraint("id", name="pk_requests"),
        sa.UniqueConstraint("owner", "key", name="uq_requests_owner_key"),
    )
    op.create_index("ix_requests_due_at", "requests", ["due_at"], unique=False)
    op.create_index("ix_requests_job_id", "requests", ["job_id"], unique=False)
    op.create_index("ix_requests_model_id_status", "requests", ["model_id", "status"], unique=False)
    op.create_index("ix_requests_owner_id", "requests", ["owner", "id"], unique=False)
    op.create_index("ix_requests_status_id", "requests", ["status", "id"], unique=False)

    op.create_table(
        "versions",
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("method", sa.String(length=100), nullable=False),
        sa.Column("params", Json, nullable=False),
        sa.Column("trained_on", Json, nullable=False),
        sa.Column("recipe", Json, nullable=True),
        sa.Column(
            "state",
            sa.Enum(
                "checking",
                "candidate",
                "provisional",
                "active",
                "superseded",
                "revoked",
                "erased",
                "quarantined",
                name="versionstate",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("assured", sa.Boolean(), nullable=False),
        sa.Column("scores", sa.String(length=64), nullable=True),
        sa.Column("provenance", Json, nullable=False),
        sa.Column("row_version", sa.Integer(), nullable=False),
        sa.Column("created_at", Instant(), server_default=now(), nullable=False),
        sa.Column("superseded_at", Instant(), nullable=True),
        sa.Column("revoked_at", Instant(), nullable=True),
        sa.Column("erased_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_versions_job_id"),
        sa.ForeignKeyConstraint(
            ["model_id", "parent"],
            ["versions.model_id", "versions.number"],
            name="fk_versions_model_id_parent",
        ),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_versions_model_id"),
        sa.PrimaryKeyConstraint("model_id", "number", name="pk_versions"),
        sa.UniqueConstraint("job_id", name="uq_versions_job_id"),
    )
    op.create_index(
        "uq_versions_served",
        "versions",
        ["model_id"],
        unique=True,
        sqlite_where=sa.text("state IN ('provisional', 'active')"),
        postgresql_where=sa.text("state IN ('provisional', 'active')"),
    )

    op.create_table(
        "audits",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("assurance", sa.String(length=16), nullable=False),
        sa.Column("document", Json, nullable=False),
        sa.Column("pages", Json, nullable=False),
        sa.Column("created_at", Instant(), server_default=now(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_audits_job_id"),
        sa.ForeignKeyConstraint(
            ["model_id", "number"],
            ["versions.model_id", "versions.number"],
            name="fk_audits_model_id_number",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_audits"),
    )
    op.create_index("ix_audits_job_id", "audits", ["job_id"], unique=False)
    op.create_index("ix_audits_model_id_number", "audits", ["model_id", "number"], unique=False)

    op.create_table(
        "job_requests",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("carried", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_requests_job_id"),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_job_requests_request_id"),
        sa.PrimaryKeyConstraint("job_id", "request_id", name="pk_job_requests"),
    )
    op.create_index("ix_job_requests_request_id", "job_requests", ["request_id"], unique=False)

    op.create_table(
        "request_samples",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name="fk_request_samples_dataset_id"
        ),
        sa.ForeignKeyConstraint(
            ["request_id"], ["requests.id"], name="fk_request_samples_request_id"
        ),
        sa.PrimaryKeyConstraint("request_id", "position", name="pk_request_samples"),
    )
    op.create_index(
        "ix_request_samples_dataset_id_position",
        "request_samples",
        ["dataset_id", "position"],
        unique=False,
    )

    op.create_table(
        "version_samples",
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["model_id", "number"],
            ["versions.model_id", "versions.number"],
            name="fk_version_samples_model_id_number",
        ),
        sa.PrimaryKeyConstraint("model_id", "number", "position", name="pk_version_samples"),
    )
    op.create_table(
        "audit_tests",
        sa.Column("audit_id", sa.Uuid(), nullable=False),
        sa.Column("test", sa.String(length=100), nullable=False),
        sa.Column("estimate", sa.Double(), nullable=True),
        sa.Column("low", sa.Double(), nullable=True),
        sa.Column("high", sa.Double(), nullable=True),
        sa.Column("before", sa.Double(), nullable=True),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("gate", sa.Text(), nullable=True),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.ForeignKeyConstraint(["audit_id"], ["audits.id"], name="fk_audit_tests_audit_id"),
        sa.PrimaryKeyConstraint("audit_id", "test", name="pk_audit_tests"),
    )
    _refuse_changes_to_events()


def downgrade() -> None:
    """Go back."""
    op.drop_table("audit_tests")
    op.drop_table("version_samples")
    op.drop_index("ix_request_samples_dataset_id_position", table_name="request_samples")

    op.drop_table("request_samples")
    op.drop_index("ix_job_requests_request_id", table_name="job_requests")

    op.drop_table("job_requests")
    op.drop_index("ix_audits_model_id_number", table_name="audits")
    op.drop_index("ix_audits_job_id", table_name="audits")

    op.drop_table("audits")
    op.drop_index(
        "uq_versions_served",
        table_name="versions",
        sqlite_where=sa.text("state IN ('provisional', 'active')"),
        postgresql_where=sa.text("state IN ('provisional', 'active')"),
    )

    op.drop_table("versions")
    op.drop_index("ix_requests_status_id", table_name="requests")
    op.drop_index("ix_requests_owner_id", table_name="requests")
    op.drop_index("ix_requests_model_id_status", table_name="requests")
    op.drop_index("ix_requests_job_id", table_name="requests")
    op.drop_index("ix_requests_due_at", table_name="requests")

    op.drop_table("requests")
    op.drop_table("attempts")
    op.drop_index(
        "uq_jobs_waiting_batch",
        table_name="jobs",
        sqlite_where=sa.text("status = 'queued' AND attempt = 0 AND batch IS NOT NULL"),
        postgresql_where=sa.text("status = 'queued' AND attempt = 0 AND batch IS NOT NULL"),
    )
    op.drop_index(
        "uq_jobs_running_forget",
        table_name="jobs",
        sqlite_where=sa.text("status = 'running' AND kind = 'forget'"),
        postgresql_where=sa.text("status = 'running' AND kind = 'forget'"),
    )
    op.drop_index("ix_jobs_status_queue_due_at", table_name="jobs")
    op.drop_index("ix_jobs_model_id", table_name="jobs")

    op.drop_table("jobs")
    op.drop_table("shards")
    op.drop_index("ix_samples_dataset_id_subject", table_name="samples")
    op.drop_index("ix_samples_dataset_id_label", table_name="samples")
    op.drop_index("ix_samples_dataset_id_forgotten_by", table_name="samples")

    op.drop_table("samples")
    op.drop_index("ix_models_dataset_id", table_name="models")

    op.drop_table("models")
    op.drop_table("workers")
    op.drop_index("ix_tombstones_digest", table_name="tombstones")

    op.drop_table("tombstones")
    op.drop_table("secrets")
    op.drop_table("offers")
    op.drop_table("locks")
    op.drop_index("ix_events_request_id_seq", table_name="events")
    op.drop_index("ix_events_chain_seq", table_name="events")

    op.drop_table("events")
    op.drop_index(
        "uq_datasets_ready_name",
        table_name="datasets",
        sqlite_where=sa.text("state = 'ready'"),
        postgresql_where=sa.text("state = 'ready'"),
    )
    op.drop_index(
        "uq_datasets_ready_fingerprint",
        table_name="datasets",
        sqlite_where=sa.text("state = 'ready'"),
        postgresql_where=sa.text("state = 'ready'"),
    )

    op.drop_table("datasets")
    op.drop_table("blobs")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION events_are_append_only()")
