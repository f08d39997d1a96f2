"""Which days are over for good: what depends on them alone is never changed by a late event."""

from datetime import UTC, date

from models.policy import PolicyHistory


def settled(day: date, policies: PolicyHistory) -> date:
    """The day before which nothing can come any more once an event of `day` is in."""
    calendar = policies.latest.bank_calendar
    # In UTC: lateness is a span of time, and a day is not always 24 hours long.
    return calendar.day_of(calendar.day_window(day)[0].astimezone(UTC) - policies.lateness)
