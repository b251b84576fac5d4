"""Tunings, and the parameters that were taken over from them."""

import sqlalchemy as sa
from alembic import op

from models_store.columns import Instant, Json, now

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "trials",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("params", Json, nullable=False),
        sa.Column("figures", Json, nullable=False),
        sa.Column("gap", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("created_at", Instant(), server_default=now(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_trials_job_id"),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_trials"),
    )
    op.create_table(
        "tuned_params",
        sa.Column("model_id", sa.Uuid(), nullable=False),
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
        sa.Column("method", sa.String(length=100), nullable=False),
        sa.Column("params", Json, nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", Instant(), server_default=now(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_tuned_params_job_id"),
        sa.ForeignKeyConstraint(["model_id"], ["models.id"], name="fk_tuned_params_model_id"),
        sa.PrimaryKeyConstraint("model_id", "goal", "method", name="pk_tuned_params"),
    )


def downgrade() -> None:
    """Go back."""
    op.drop_table("tuned_params")
    op.drop_table("trials")
