"""Run by Alembic, with the connection that `connectors.store.versions` gives it."""

from alembic import context

from connectors.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite changes a table by making it anew
)
with context.begin_transaction():
    context.run_migrations()
