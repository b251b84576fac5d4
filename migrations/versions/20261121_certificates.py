"""Certificates of methods, and what shadows say while one is decided."""

import sqlalchemy as sa
from alembic import op

from models_store.columns import Instant, Json, now

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "method_certificates",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("model_id", sa.Uuid(), nullable=False),
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("architecture", sa.String(length=200), nullable=False),
        sa.Column("method", sa.String(length=100), nullable=False),
        sa.Column("params", Json, nullable=False),
        sa.Column(
            "goal",
            sa.Enum(
                "class",
                "samples",
                name="goal",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("shadows", sa.Integer(), nullable=False),
        sa.Column(
            "verdict",
            sa.Enum(
                "granted",
                "refused",
                "inconclusive",
                name="grant",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=True,
        ),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("figures", Json, nullable=True),
        sa.Column("trained", sa.Integer(), nullable=True),
        sa.Column("software", sa.String(length=100), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("created_at", Instant(), server_default=now(), nullable=False),
        sa.Column("granted_at", Instant(), nullable=True),
        sa.Column("expires_at", Instant(), nullable=True),
        sa.CheckConstraint(
            "verdict IS NULL OR verdict <> 'granted' OR expires_at IS NOT NULL",
            name="ck_method_certificates_expires",
        ),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name="fk_method_certificates_dataset_id"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_method_certificates_job_id"),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.id"], name="fk_method_certificates_model_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_method_certificates"),
        sa.UniqueConstraint("job_id", name="uq_method_certificates_job_id"),
    )
    op.create_index(
        "ix_method_certificates_dataset_id_key_method",
        "method_certificates",
        ["dataset_id", "key", "method"],
        unique=False,
    )
    op.create_index(
        "ix_method_certificates_model_id", "method_certificates", ["model_id"], unique=False
    )
    op.create_table(
        "shadows",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("said", sa.String(length=64), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("created_at", Instant(), server_default=now(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_shadows_job_id"),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_shadows"),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("shadows")
    op.drop_table("method_certificates")
