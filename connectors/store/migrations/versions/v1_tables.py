"""The tables: warnings, cases with their tasks, the book, dead letters, and how far each topic is read."""

import sqlalchemy as sa
from alembic import op

from connectors.store.tables import Instant

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "case_warnings",
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("warning_id", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("case_id", "warning_id"),
    )
    op.create_index("case_warnings_warning", "case_warnings", ["warning_id"])
    op.create_table(
        "cases",
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("confidential", sa.Boolean(), nullable=False),
        sa.Column("opened_at", Instant(), nullable=False),
        sa.Column("resolved_at", Instant()),
        sa.Column("due_at", Instant()),
        sa.Column("overdue", sa.Boolean(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("case_id"),
    )
    op.create_index("cases_state", "cases", ["mode", "state"])
    op.create_index("cases_subject", "cases", ["subject"])
    op.create_table(
        "dead_letters",
        sa.Column("dead_letter_id", sa.String(), nullable=False),
        sa.Column("source_topic", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("refused_at", Instant(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("dead_letter_id"),
    )
    op.create_index("dead_letters_newest", "dead_letters", ["refused_at"])
    op.create_table(
        "heartbeat",
        sa.Column("process", sa.String(), nullable=False),
        sa.Column("seen_at", Instant(), nullable=False),
        sa.Column("waiting", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("process"),
    )
    op.create_table(
        "portfolio",
        sa.Column("entity", sa.String(), nullable=False),
        sa.Column("dimension", sa.String(), nullable=False),
        sa.Column("member", sa.String(), nullable=False),
        sa.Column("level", sa.String()),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("exposure", sa.Double(), nullable=False),
        sa.Column("as_of", Instant(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("entity", "dimension", "member"),
    )
    op.create_index("portfolio_rank", "portfolio", ["rank"])
    op.create_table(
        "progress",
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("topic_id", sa.String()),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.Column("stamped_at", Instant()),
        sa.PrimaryKeyConstraint("topic", "partition"),
    )
    op.create_table(
        "redrives",
        sa.Column("dead_letter_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("dead_letter_id"),
    )
    op.create_table(
        "tasks",
        sa.Column("case_id", sa.String(), nullable=False),
        sa.Column("department", sa.String(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("overdue", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("acknowledged_at", Instant()),
        sa.Column("done_at", Instant()),
        sa.Column("escalation_level", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("case_id", "department", "round"),
    )
    op.create_index("tasks_active", "tasks", ["active", "department"])
    op.create_table(
        "warning_departments",
        sa.Column("warning_id", sa.String(), nullable=False),
        sa.Column("department", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("warning_id", "department"),
    )
    op.create_index("warning_departments_department", "warning_departments", ["department"])
    op.create_table(
        "warnings",
        sa.Column("warning_id", sa.String(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("detector", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("rank", sa.SmallInteger(), nullable=False),
        sa.Column("mode", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("muted_by", sa.String()),
        sa.Column("event_time", Instant(), nullable=False),
        sa.Column("detected_at", Instant(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("warning_id"),
    )
    op.create_index("warnings_newest", "warnings", ["mode", "detected_at"])
    op.create_index("warnings_subject", "warnings", ["subject"])
