"""What the pipeline asks of a broker, and which of our two keeps it. README.md of deploy/kafka shows this table."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["kafka", "fallback"]
KINDS: tuple[Kind, ...] = ("kafka", "fallback")


@dataclass(frozen=True)
class Promise:
    """A promise in words. A broker that does not keep one must fail its test: so we notice when it does."""

    text: str
    kafka: bool = True
    fallback: bool = True

    def kept_by(self, kind: Kind) -> bool:
        return self.kafka if kind == "kafka" else self.fallback


PROMISES: dict[str, Promise] = {
    "order_within_a_partition": Promise("Records of one partition come out in the order they went in (acks=all)"),
    "whole_record": Promise("Key, headers, timestamp and an empty value come out as they went in"),
    "records_of_three_megabytes": Promise("Records of 3 MB are taken where the topic allows them"),
    "arrival_time": Promise("With LogAppendTime the broker stamps a record on arrival"),
    "history_is_kept": Promise("Records that are years old stay where retention is unlimited"),
    "end_offsets": Promise("Beginning and end offsets are exact, so lag is"),
    "offsets_by_time": Promise("Offsets are found by time"),
    "group_resumes": Promise("A group goes on after its last committed offset"),
    "two_members_share": Promise("Two members of a group share the partitions"),
    "dead_member_evicted": Promise(
        "The partitions of a killed member go to the others after its session", fallback=False
    ),
    "static_member_returns": Promise("A killed member with a fixed name gets its partitions back at once"),
    "member_removed_by_admin": Promise("A dead member with a fixed name can be removed"),
    "idempotent_producer": Promise("Idempotent producers of both clients work"),
    "aborted_records_hidden": Promise("Aborted transactions are not seen by committed readers"),
    "unknown_topic_refused": Promise("A topic that nobody created is not created by writing to it", fallback=False),
    "topic_configs": Promise("Topic settings (compaction, retention, size) are stored, read back and altered"),
    "partitions_added": Promise("Partitions can be added"),
    "records_deleted": Promise("Records can be deleted up to an offset"),
    "topics_deleted": Promise("Topics can be deleted and made anew, empty"),
    "groups_described": Promise("A group's state and members can be read"),
    "cluster_described": Promise("The cluster's nodes can be read", fallback=False),
    "clean_restart": Promise("Records, settings and committed offsets survive a clean restart"),
    "hard_kill": Promise("What was acknowledged survives a kill -9 of the broker", fallback=False),
}


def table() -> str:
    """The table as the README shows it."""
    rows = ["| promise | Apache Kafka | noida-db |", "|---|---|---|"]
    words = {True: "yes", False: "no"}
    rows += [f"| {each.text} | {words[each.kafka]} | {words[each.fallback]} |" for each in PROMISES.values()]
    return "\n".join(rows)
