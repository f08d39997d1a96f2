"""What proves a measure, asked of the stream by the case and answered by whoever sees the events.

`cases` asks on `reviews` (every borrowers partition, for what loans prove) or on `resamples` (for what a branch's large
transactions prove); the answers come on `proofs`, in the partition of the case's subject.
"""

from datetime import datetime

from msgspec import Struct

from models.policy import Proof as ProofKind


class ProofAsk(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A measure that is to be proved. Topics `reviews` and `resamples`, key case_id|measure, compacted.

    Args:
        subject: of the case, and what is to be looked at: `industry:BANK1:K`, `branch:0731`.
        since: only what happens from then on proves it; with case and measure it names the ask.
        open: False once nobody waits for it any more.
        revision: of the case when it asked; of two asks of one name the greater counts.
    """

    case_id: str
    subject: str
    measure: str
    kind: ProofKind
    since: datetime
    open: bool = True
    revision: int

    @property
    def key(self) -> str:
        return f"{self.case_id}|{self.measure}"


class Proved(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one partition has seen of what was asked. Topic `proofs`, key case_id|measure|partition, compacted.

    Args:
        since: of the ask that it answers.
        partition, partitions: who answers, and how many there are; `loans_reviewed` is proved once all of them have
            nothing left, `reclassified` once any has seen it, `clean_resample` has one partition alone.
        listed, left: of `loans_reviewed`: loans to be reviewed here, and those of them that were not yet.
        done_at: event time at which it was proved here; None while it is not.
        failed: ids of the events that show the contrary: what was put right is not right.
        evidence: ids of the events that prove it, the newest `MOST_EVIDENCE` of them.
        revision: of two answers to this ask from this partition the greater is the newer; one that is given again after
            a kill has the number that it had.
    """

    case_id: str
    subject: str
    measure: str
    since: datetime
    partition: int
    partitions: int
    listed: int = 0
    left: int = 0
    done_at: datetime | None = None
    failed: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    revision: int

    @property
    def key(self) -> str:
        return f"{self.case_id}|{self.measure}|{self.partition}"


MOST_EVIDENCE = 20
