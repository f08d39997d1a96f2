"""The catalogue of topics: name, key, schema, cleanup, who writes and who reads.

All topics have the same number of partitions (`Settings.partitions`), so that one key falls into the same
partition number everywhere and one worker owns it across topics.

Records of the inputs are stamped by the broker on arrival (`LogAppendTime`): arrival bounds the watermark, and a
producer must not be able to move it. It also lets a replay of an old year outlive any retention.
"""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from models.dead_letter import DeadLetter, Redrive
from models.events import Action, CapitalPosition, LoanEvent, PostReport, Transaction
from models.links import CaseLink
from models.messages import (
    WATERMARK_KEY,
    ActivityBatch,
    ActivityWatermark,
    LoanDeltas,
    LoanWatermark,
    PortfolioEntry,
    Reevaluated,
    Suspensions,
)
from models.proofs import ProofAsk, Proved
from models.reference import Mute, PolicyVersion, Rate
from models.response.case import Case
from models.risk_warning import RiskWarning
from models.watch_list import WatchEntry

# A reference topic holds what judges events: read whole by every worker, then followed.
Direction = Literal["input", "reference", "internal", "output"]

FOREVER = "-1"
# Ten years: Order 2025 No. 11 of PBOC, NFRA and CSRC on customer due diligence and the keeping of records.
SEVEN_DAYS = str(7 * 24 * 3600 * 1000)  # between stages: read within seconds, kept for a long weekend
TEN_YEARS = str(3653 * 24 * 3600 * 1000)
# Kafka's own default, set so that a larger one of the user's cluster does not let records in whose dead letters
# would not fit: base64 makes them a third larger. It binds the compressed size; the codec refuses what unpacks to more.
MAX_INPUT_BYTES = 1024 * 1024 + 12
MAX_OUTPUT_BYTES = 4 * 1024 * 1024
# The states that one batch of events changes are one record batch, all or nothing: above `streams.outbox.ATOMIC_BYTES`.
MAX_STATE_BYTES = 16 * 1024 * 1024


class Message(Struct, frozen=True):
    """A type of value: its CloudEvents name and major version, e.g. `liandong.transaction.v1`.

    Args:
        key: on a topic with several types, the key that means this one where no headers tell them apart.
    """

    name: str
    version: int
    struct: type[Struct]
    key: str | None = None

    @property
    def ce_type(self) -> str:
        return f"liandong.{self.name}.v{self.version}"


class TopicSpec(Struct, frozen=True, kw_only=True):
    """One topic.

    Args:
        key: what the record key is, for a person.
        key_fields: the fields it comes from: the first that has a value.
        messages: the types of its values; more than one only on internal topics.
        configs: what the broker must have; other configs are the cluster's own.
    """

    name: str
    direction: Direction
    key: str
    key_fields: tuple[str, ...]
    messages: tuple[Message, ...]
    configs: dict[str, str]
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    description: str

    @property
    def schema(self) -> type[Struct]:
        """The Struct of the topic's values (the first, where an internal topic has several)."""
        return self.messages[0].struct

    @property
    def compacted(self) -> bool:
        return self.configs["cleanup.policy"] == "compact"


def _kept(milliseconds: str, *, arrival: bool = False, most: int = MAX_OUTPUT_BYTES) -> dict[str, str]:
    stamp = "LogAppendTime" if arrival else "CreateTime"
    return {
        "cleanup.policy": "delete",
        "retention.ms": milliseconds,
        "message.timestamp.type": stamp,
        "max.message.bytes": str(most),
    }


def _latest(most: int = MAX_OUTPUT_BYTES) -> dict[str, str]:
    return {
        "cleanup.policy": "compact",
        "message.timestamp.type": "CreateTime",
        "max.message.bytes": str(most),
    }


def _input(milliseconds: str = FOREVER) -> dict[str, str]:
    return _kept(milliseconds, arrival=True, most=MAX_INPUT_BYTES)


def _reference() -> dict[str, str]:
    return _latest(MAX_INPUT_BYTES) | {"message.timestamp.type": "LogAppendTime"}


_WARNING = Message("warning", 1, RiskWarning)
_DEPARTMENTS = {
    "credit": "The credit department",
    "operations": "The operations department",
    "it": "The IT department",
    "clearing": "The clearing department",
    "product": "The product department",
}

_CATALOGUE: tuple[TopicSpec, ...] = (
    TopicSpec(
        name="transactions",
        direction="input",
        key="customer_id",
        key_fields=("customer_id",),
        messages=(Message("transaction", 1, Transaction),),
        configs=_input(TEN_YEARS),
        writers=("core banking", "liandong replay", "liandong simulate"),
        readers=("customers", "liandong verify"),
        description="One booking on a customer's account.",
    ),
    TopicSpec(
        name="reports",
        direction="input",
        key="customer_id, else reporter.branch_id",
        key_fields=("customer_id", "reporter.branch_id"),
        messages=(Message("report", 1, PostReport),),
        configs=_input(),
        writers=("posts", "liandong simulate"),
        readers=("customers", "liandong verify"),
        description="What a teller, customer manager, IT or clearing post saw.",
    ),
    TopicSpec(
        name="loans",
        direction="input",
        key="borrower_id",
        key_fields=("borrower_id",),
        messages=(Message("loan", 1, LoanEvent),),
        configs=_input(),  # a balance is the sum of all steps, so none may expire
        writers=("loan system", "liandong replay", "liandong simulate"),
        readers=("borrowers", "liandong verify"),
        description="One step in a loan's life.",
    ),
    TopicSpec(
        name="capital",
        direction="input",
        key="entity",
        key_fields=("entity",),
        messages=(Message("capital", 1, CapitalPosition),),
        # Not compacted: an event is judged by the capital of its own time, so earlier positions must stay.
        configs=_input(),
        writers=("finance", "liandong simulate"),
        readers=("portfolio", "liandong verify"),
        description="A legal entity's net and Tier 1 capital, valid from a day on.",
    ),
    TopicSpec(
        name="actions",
        direction="input",
        key="subject (the part of case_id before '#')",
        key_fields=("case_id",),
        messages=(Message("action", 1, Action),),
        configs=_input(),
        writers=("departments",),
        readers=("cases",),
        description="What a department did on a case.",
    ),
    TopicSpec(
        name="policy",
        direction="reference",
        key="policy_id@version",
        key_fields=("policy_id",),
        messages=(Message("policy-version", 1, PolicyVersion),),
        configs=_reference(),
        writers=("liandong policy",),
        readers=("workers", "liandong verify"),
        description="Every policy version, whole, with who proposed and who approved it.",
    ),
    TopicSpec(
        name="rates",
        direction="reference",
        key="currency@as_of",
        key_fields=("currency",),
        messages=(Message("rate", 1, Rate),),
        configs=_reference(),
        writers=("liandong rates", "treasury"),
        readers=("workers", "liandong verify"),
        description="What a currency is worth in the policy's base currency, from a day on.",
    ),
    TopicSpec(
        name="watch-list",
        direction="reference",
        key="entry_id",
        key_fields=("entry_id",),
        messages=(Message("watch-entry", 1, WatchEntry),),
        configs=_reference(),
        writers=("liandong watch-list", "compliance"),
        readers=("workers", "liandong verify"),
        description="Accounts, names and countries whose dealings somebody must look at, from day to day.",
    ),
    TopicSpec(
        name="mutes",
        direction="reference",
        key="mute_id",
        key_fields=("mute_id",),
        messages=(Message("mute", 1, Mute),),
        configs=_reference(),
        writers=("liandong mute",),
        readers=("workers",),
        description="Dismissed patterns of which nobody is told for a while, with who asked and who agreed.",
    ),
    TopicSpec(
        name="reevaluations",
        direction="internal",
        key="customer_id, else branch_id",
        key_fields=("customer_id", "branch_id"),
        messages=(Message("reevaluated", 1, Reevaluated),),
        configs=_kept(SEVEN_DAYS),
        writers=("liandong reevaluate",),
        readers=("customers",),
        description="What history says of events long judged, with reference data that came after them.",
    ),
    TopicSpec(
        name="portfolio.deltas",
        direction="internal",
        key="entity, or ~watermark",
        key_fields=("entity",),
        messages=(Message("loan-deltas", 1, LoanDeltas), Message("loan-watermark", 1, LoanWatermark, WATERMARK_KEY)),
        configs=_kept(SEVEN_DAYS),
        writers=("borrowers",),
        readers=("portfolio",),
        description="Partial totals of the loan partitions, and how far each has come.",
    ),
    TopicSpec(
        name="suspensions",
        direction="internal",
        key="case_id, in the partition of its entity",
        key_fields=("case_id",),
        messages=(Message("suspensions", 1, Suspensions),),
        configs=_latest(),
        writers=("cases",),
        readers=("portfolio", "liandong verify"),
        description="What may not be approved at present, by the case that suspended it, and when it was lifted.",
    ),
    TopicSpec(
        name="reviews",
        direction="internal",
        key="case_id|measure, in every partition",
        key_fields=("case_id", "measure"),
        messages=(Message("proof-ask", 1, ProofAsk),),
        configs=_latest(),
        writers=("cases",),
        readers=("borrowers",),
        description="Measures that the loan stream is to prove: a list worked off loan by loan, a reclassification.",
    ),
    TopicSpec(
        name="resamples",
        direction="internal",
        key="case_id|measure, in the partition of activity",
        key_fields=("case_id", "measure"),
        messages=(Message("proof-ask", 1, ProofAsk),),
        configs=_latest(),
        writers=("cases",),
        readers=("activity",),
        description="Rectifications that a new sample of the branch's large transactions is to prove.",
    ),
    TopicSpec(
        name="proofs",
        direction="internal",
        key="case_id|measure|partition, in the partition of its subject",
        key_fields=("case_id", "measure", "partition"),
        messages=(Message("proved", 1, Proved),),
        configs=_latest(),
        writers=("borrowers", "activity"),
        readers=("cases",),
        description="What the stream has seen of what measures wait for.",
    ),
    TopicSpec(
        name="case-links",
        direction="internal",
        key="from_, in the partition of the subject of `to`",
        key_fields=("from_",),
        messages=(Message("case-link", 1, CaseLink),),
        configs=_kept(SEVEN_DAYS),
        writers=("cases",),
        readers=("cases",),
        description="What a case that follows another and the one that it follows say to each other.",
    ),
    TopicSpec(
        name="activity",
        direction="internal",
        key="~activity",
        key_fields=("key",),
        messages=(Message("activity-batch", 1, ActivityBatch), Message("activity-watermark", 1, ActivityWatermark)),
        configs=_kept(SEVEN_DAYS),
        writers=("customers", "borrowers"),
        readers=("activity",),
        description="How many events and warnings each partition saw, for which rule, branch, channel and source.",
    ),
    TopicSpec(
        name="warnings",
        direction="output",
        key="subject",
        key_fields=("subject",),
        messages=(_WARNING,),
        configs=_kept(FOREVER),
        writers=("customers", "portfolio", "activity"),
        readers=("cases", "the projector", "the risk department", "liandong verify"),
        description="Every warning in every revision, shadow ones too: what cases are built from.",
    ),
    *(
        TopicSpec(
            name=f"warnings.{department}",
            direction="output",
            key="subject",
            key_fields=("subject",),
            messages=(_WARNING,),
            configs=_kept(FOREVER),
            writers=("customers", "portfolio", "activity"),
            readers=(reader,),
            description=f"{reader}'s copy of the warnings it must act on.",
        )
        for department, reader in _DEPARTMENTS.items()
    ),
    TopicSpec(
        name="cases",
        direction="output",
        key="case_id, in the partition of its subject",
        key_fields=("case_id",),
        messages=(Message("case", 1, Case),),
        configs=_latest(),
        writers=("cases",),
        readers=("the projector", "liandong case", "liandong report"),
        description="Each case as it stands: warnings, tasks with their due times, history.",
    ),
    TopicSpec(
        name="cases.confidential",
        direction="output",
        key="case_id, in the partition of its subject",
        key_fields=("case_id",),
        messages=(Message("case", 1, Case),),
        configs=_latest(),
        writers=("cases",),
        readers=("named roles", "liandong case", "liandong report"),
        description="Cases for named roles only, whole; `cases` says of them that they are there.",
    ),
    TopicSpec(
        name="portfolio",
        direction="output",
        key="entity|dimension|member, in the partition of its entity",
        key_fields=("entity", "dimension", "member"),
        messages=(Message("portfolio", 1, PortfolioEntry),),
        configs=_latest(),
        writers=("portfolio",),
        readers=("the projector", "the credit department"),
        description="Each line of an entity's book as it stands: exposure, share, level.",
    ),
    TopicSpec(
        name="dead-letters",
        direction="output",
        key="the refused record's key",
        key_fields=("source_key",),
        messages=(Message("dead-letter", 1, DeadLetter),),
        configs=_kept(FOREVER),
        writers=("customers", "borrowers", "portfolio", "activity", "cases"),
        readers=("the projector", "on-call engineers", "liandong dead-letters"),
        description="Every refused record with its place, reason and field; it can be repaired and sent again.",
    ),
    TopicSpec(
        name="redrives",
        direction="internal",
        key="dead_letter_id",
        key_fields=("dead_letter_id",),
        messages=(Message("redrive", 1, Redrive),),
        configs=_latest(),
        writers=("liandong dead-letters",),
        readers=("the projector", "liandong dead-letters"),
        description="What became of the dead letters that were sent again: who, when, and where they stand now.",
    ),
)

TOPICS: dict[str, TopicSpec] = {spec.name: spec for spec in _CATALOGUE}


# Each keeps its states in a topic of its own.
STAGES = ("customers", "borrowers", "portfolio", "activity", "cases")


def state_topics(app_id: str) -> dict[str, TopicSpec]:
    """Specs of the topics in which the pipeline's stages keep their states, by name."""
    return changelogs(f"{app_id}-{name}-state-changelog" for name in STAGES)


def changelogs(names: Iterable[str]) -> dict[str, TopicSpec]:
    """Specs of the state changelogs that the workers keep, by the names they give them.

    Faust would create them with its own defaults; made here, they have our partition count and room for a batch.
    """
    return {
        name: TopicSpec(
            name=name,
            direction="internal",
            key="state key",
            key_fields=(),
            messages=(),
            configs=_latest(MAX_STATE_BYTES),
            writers=("workers",),
            readers=("workers",),
            description="State of a stage, replayed when a worker takes it over.",
        )
        for name in names
    }
