"""One warning an episode: findings that name the same episode become revisions of one RiskWarning.

A finding is told again only when it says something new: it is graver, it has more evidence (each event at
first, later at each doubling), or it is corroborated. Departments get a copy when the warning is new to them,
graver than they know, or the policy's interval since their last copy is over; none while it is muted, so that
they get it with its next event after the mute. A warning's severity never falls.
"""

from datetime import datetime, timedelta

from msgspec import Struct

from models.drill import drill_of
from models.mutes import Mutes
from models.policy import Policy, Rule
from models.risk_warning import Finding, Mode, Reason, RiskWarning, Severity, raised, severity_rank, warning_id


class Episode(Struct):
    """What is remembered of a warning: its newest finding and what was told of it."""

    detector: str
    version: int
    finding: Finding
    severity: Severity  # the detector's own, the gravest so far
    partners: tuple[str, ...] = ()  # ids of the warnings that corroborate it
    revision: int = 0
    told_severity: Severity = "low"
    told_count: int = 0
    notified_at: datetime | None = None
    notified_severity: Severity | None = None

    @property
    def id(self) -> str:
        return warning_id(self.detector, self.version, self.finding.subject, self.finding.anchor)

    @property
    def total_severity(self) -> Severity:
        """The detector's severity, raised one step when another source says the same."""
        return raised(self.severity) if self.partners else self.severity


def observe(episode: Episode | None, detector: str, version: int, finding: Finding) -> Episode:
    """Take a finding into its episode, or open one."""
    if episode is None:
        return Episode(detector, version, finding, finding.severity)
    if severity_rank(finding.severity) > severity_rank(episode.severity):
        episode.severity = finding.severity
    episode.finding = finding
    return episode


def tell(
    episode: Episode,
    rule: Rule,
    policy: Policy,
    mutes: Mutes,
    *,
    event_time: datetime,
    now: datetime,
    late: bool,
) -> RiskWarning | None:
    """The next revision of the episode's warning, or None when there is nothing new to say.

    Args:
        mutes: who need not be told of what.
        event_time: of the event that gives the occasion.
        now: the runner's clock, written into `detected_at` alone.
        late: the event came behind its customer's newest.
    """
    severity, count = episode.total_severity, episode.finding.event_count
    first = episode.revision == 0
    graver = first or severity_rank(severity) > severity_rank(episode.told_severity)
    until = policy.episodes.every_event_until.whole
    grown = count > episode.told_count and (count <= until or count >= 2 * episode.told_count)
    mute = mutes.muting(episode.finding.subject, episode.detector, severity, event_time)
    owed = mute is None and _unknown_to_departments(episode, severity)
    if not (graver or grown or owed):
        return None
    renotify = timedelta(hours=policy.episodes.renotify_after.whole)
    over = episode.notified_at is not None and event_time - episode.notified_at >= renotify
    notify = mute is None and (owed or over)
    episode.revision += 1
    episode.told_severity, episode.told_count = severity, count
    if notify:
        episode.notified_at, episode.notified_severity = event_time, severity
    finding = episode.finding
    return RiskWarning(
        warning_id=episode.id,
        revision=episode.revision,
        detector=episode.detector,
        detector_version=episode.version,
        policy_version=policy.version,
        mode=_mode(rule, finding.subject),
        severity=severity,
        subject=finding.subject,
        departments=finding.departments,
        reasons=(*finding.reasons, *_corroboration(episode.partners)),
        event_ids=finding.event_ids,
        event_count=count,
        window=finding.window,
        measures=finding.measures,
        event_time=event_time,
        detected_at=now,
        late=late,
        notify=notify,
        muted_by=mute.mute_id if mute is not None else None,
        disproves=finding.disproves,
    )


def _mode(rule: Rule, subject: str) -> Mode:
    """What departments are told as: a rule that is being tried out is not told in a drill either."""
    if rule.mode == "shadow":
        return "shadow"
    return "live" if drill_of(subject) is None else "drill"


def _unknown_to_departments(episode: Episode, severity: Severity) -> bool:
    """Whether the departments were never told of the warning, or of nothing as grave."""
    known = episode.notified_severity
    return known is None or severity_rank(severity) > severity_rank(known)


def _corroboration(partners: tuple[str, ...]) -> tuple[Reason, ...]:
    if not partners:
        return ()
    return (
        Reason(
            code="corroborated",
            observed=str(len(partners)),
            threshold="1",
            unit="warnings",
            text_zh=f"另有{len(partners)}项预警指向同一客户：{'、'.join(partners)}。",
            text_en=f"{len(partners)} other warning(s) point to the same customer: {', '.join(partners)}.",
        ),
    )
