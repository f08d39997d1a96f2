"""Reference data that travels on topics of its own: rates, policy versions and mutes, valid in event time."""

import hashlib
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from models.events import Currency, Event, Id, Instant, Text
from models.money import InvalidField
from models.risk_warning import Severity, severity_rank


class Rate(Event, frozen=True, kw_only=True, omit_defaults=True):
    """What one unit of a currency is worth in the policy's base currency, from a day on.

    Args:
        currency: ISO 4217.
        as_of: the first day in the bank's zone on which it holds; until the next one given.
        rate: units of the base currency for one unit.
        source: where it was published.
    """

    currency: Currency
    as_of: date
    rate: Decimal
    source: Text

    def __post_init__(self) -> None:
        if not self.rate.is_finite() or self.rate <= 0:
            raise InvalidField("rate", "not_positive", f"{self.rate} must be a finite number above zero")

    @property
    def event_id(self) -> str:
        return f"{self.currency}@{self.as_of}"

    @property
    def key(self) -> str:
        return self.event_id


class PolicyVersion(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A whole policy version on its way from proposal to use. Topic `policy`, key `policy_id@version`.

    The rules know it once it is approved, by somebody other than the proposer. Its text never changes.

    Args:
        policy_id, version, valid_from: as the text itself says.
        text: the policy as TOML.
        digest: SHA-256 of the text in UTF-8, in hexadecimal digits.
        reason: what the change is for; when rejected, why.
    """

    policy_id: Id
    version: Id
    valid_from: Instant
    text: Annotated[str, Meta(max_length=500_000)]  # no least length: that would make it an id, on one line
    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    proposed_by: Id
    proposed_at: Instant
    reason: Text = ""
    approved_by: Id | None = None
    approved_at: Instant | None = None
    rejected_by: Id | None = None
    rejected_at: Instant | None = None

    def __post_init__(self) -> None:
        if self.digest != digest_of(self.text):
            raise InvalidField("digest", "mismatch", "the text is not the one that was proposed")
        _check_pair(self, "approved")
        _check_pair(self, "rejected")
        if self.approved_by and self.rejected_by:
            raise InvalidField("rejected_by", "contradictory", "a version cannot be both approved and rejected")
        _check_four_eyes("approved_by", self.approved_by, self.proposed_by)

    @property
    def event_id(self) -> str:
        return f"{self.policy_id}@{self.version}"

    @property
    def key(self) -> str:
        return self.event_id

    @property
    def state(self) -> str:
        """`proposed`, `approved` or `rejected`."""
        return "approved" if self.approved_by else "rejected" if self.rejected_by else "proposed"


class Mute(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A dismissed pattern that need not be told again for a while. Topic `mutes`, key `mute_id`.

    What it covers is still found, counted and shown, but nobody is told of it and no case is opened. It holds for
    events in [starts_at, ends), once somebody other than its proposer has approved it; it ends by itself, and sooner
    when it is lifted, for which two people are needed as well.

    Args:
        subject: of the warnings, e.g. `customer:C42`.
        detector: the rule.
        starts_at, ends_at: event time; the end is not included.
        up_to: the gravest severity that it covers: what is graver is told all the same.
        reason: why nothing need be done.
    """

    mute_id: Id
    subject: Id
    detector: Id
    starts_at: Instant
    ends_at: Instant
    up_to: Severity
    reason: Id
    proposed_by: Id
    proposed_at: Instant
    approved_by: Id | None = None
    approved_at: Instant | None = None
    lift_proposed_by: Id | None = None
    lift_proposed_at: Instant | None = None
    lifted_by: Id | None = None
    lifted_at: Instant | None = None

    def __post_init__(self) -> None:
        if self.ends_at <= self.starts_at:
            raise InvalidField("ends_at", "contradictory", f"{self.ends_at} is not after {self.starts_at}")
        for name in ("approved", "lift_proposed", "lifted"):
            _check_pair(self, name)
        _check_four_eyes("approved_by", self.approved_by, self.proposed_by)
        _check_four_eyes("lifted_by", self.lifted_by, self.lift_proposed_by)
        if self.lifted_by and not (self.lift_proposed_by and self.approved_by):
            raise InvalidField("lifted_by", "contradictory", "an approved mute is lifted, once its lifting is proposed")

    @property
    def event_id(self) -> str:
        return self.mute_id

    @property
    def key(self) -> str:
        return self.mute_id

    @property
    def ends(self) -> datetime:
        """The first instant of event time for which it no longer holds."""
        return self.ends_at if self.lifted_at is None else min(self.ends_at, self.lifted_at)

    def covers(self, severity: Severity, at: datetime) -> bool:
        """Whether a warning of its subject and rule, of this severity and event time, is muted."""
        if self.approved_by is None or severity_rank(severity) > severity_rank(self.up_to):
            return False
        return self.starts_at <= at < self.ends


def digest_of(text: str) -> str:
    """SHA-256 of a text in UTF-8, in hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def _check_pair(event: Event, name: str) -> None:
    """Who and when come together."""
    by, at = getattr(event, f"{name}_by"), getattr(event, f"{name}_at")
    if (by is None) != (at is None):
        raise InvalidField(f"{name}_by", "contradictory", f"{name}_by and {name}_at must both be given, or neither")


def _check_four_eyes(field: str, second: str | None, first: str | None) -> None:
    if second is not None and same_person(second, first):
        raise InvalidField(field, "four_eyes", f"{second} proposed it; somebody else must agree")


def same_person(one: str, other: str | None) -> bool:
    """Whether two ids of employees are one, however they are typed."""
    return other is not None and one.strip().casefold() == other.strip().casefold()
