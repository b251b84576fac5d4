"""Reference pools and their members."""

import sqlalchemy as sa
from alembic import op

from models_store.columns import Instant, Json, now

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "pools",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("architecture", sa.String(length=200), nullable=False),
        sa.Column("parameters", Json, nullable=False),
        sa.Column("mean", Json, nullable=False),
        sa.Column("std", Json, nullable=False),
        sa.Column("recipe", Json, nullable=False),
        sa.Column("created_at", Instant(), server_default=now(), nullable=False),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name="fk_pools_dataset_id"),
        sa.PrimaryKeyConstraint("id", name="pk_pools"),
        sa.UniqueConstraint("dataset_id", "key", name="uq_pools_dataset_id_key"),
    )
    op.create_table(
        "pool_members",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("pool_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "half",
                "retrain",
                name="memberkind",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("label", sa.Integer(), nullable=True),
        sa.Column("draw", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "ready",
                "retired",
                "erased",
                name="memberstate",
                native_enum=False,
                create_constraint=True,
                length=24,
            ),
            nullable=False,
        ),
        sa.Column("trained", sa.LargeBinary(), nullable=False),
        sa.Column("scores", sa.String(length=64), nullable=False),
        sa.Column("weights", sa.String(length=64), nullable=True),
        sa.Column("provenance", Json, nullable=False),
        sa.Column("created_at", Instant(), server_default=now(), nullable=False),
        sa.Column("retired_at", Instant(), nullable=True),
        sa.Column("erased_at", Instant(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_pool_members_job_id"),
        sa.ForeignKeyConstraint(["pool_id"], ["pools.id"], name="fk_pool_members_pool_id"),
        sa.PrimaryKeyConstraint("id", name="pk_pool_members"),
    )
    op.create_index("ix_pool_members_pool_id_state", "pool_members", ["pool_id", "state"])


def downgrade() -> None:
    """Go back."""
    op.drop_index("ix_pool_members_pool_id_state", table_name="pool_members")
    op.drop_table("pool_members")
    op.drop_table("pools")
