"""Samples of a subject or a class are paged by one index each, and may be withdrawn."""

import sqlalchemy as sa
from alembic import op

from models_store.columns import Instant

revision = "0005"
down_revision = "0004"

COLUMNS = ("subject", "label")


def upgrade() -> None:
    """Go forward."""
    op.add_column("samples", sa.Column("withdrawn_at", Instant(), nullable=True))
    for column in COLUMNS:
        op.drop_index(f"ix_samples_dataset_id_{column}", table_name="samples")
        name = f"ix_samples_dataset_id_{column}_position"
        op.create_index(name, "samples", ["dataset_id", column, "position"], unique=False)


def downgrade() -> None:
    """Go back."""
    for column in COLUMNS:
        op.drop_index(f"ix_samples_dataset_id_{column}_position", table_name="samples")
        name = f"ix_samples_dataset_id_{column}"
        op.create_index(name, "samples", ["dataset_id", column], unique=False)
    op.drop_column("samples", "withdrawn_at")
