"""Run migrations against the database in the environment. They wait for a lock, but not forever."""

from alembic import context

from models_store.settings import Settings
from models_store.store import connect
from models_store.tables import Base

settings = Settings()
if settings.embedded:
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
engine = connect(settings.sql_url)

with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        compare_server_default=False,
        render_as_batch=connection.dialect.name == "sqlite",
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            context.execute("SET LOCAL lock_timeout = '5s'")
        context.run_migrations()
engine.dispose()
