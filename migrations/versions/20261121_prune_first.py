"""Requests that prune first, versions whose zeros stay, and training logs."""

import sqlalchemy as sa
from alembic import op

from models_store.columns import Json

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Go forward."""
    op.add_column("requests", sa.Column("prune", Json, nullable=True))
    op.add_column("versions", sa.Column("prune", Json, nullable=True))
    op.add_column("versions", sa.Column("updates", sa.String(length=64), nullable=True))


def downgrade() -> None:
    """Go back."""
    op.drop_column("versions", "updates")
    op.drop_column("versions", "prune")
    op.drop_column("requests", "prune")
