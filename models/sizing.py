"""How large a pipeline must be: measured figures turned into partitions, workers, memory, disk and recovery time.

Every formula is one line and every figure is measured (`benchmarks/bench_pipeline.py`) or given, so a plan can be
checked by hand. It plans for the busiest second, and for the loss of a worker.
"""

from math import ceil

from msgspec import Struct

GIB = 2**30


class Measured(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was measured of one worker; a worker is one process and uses one core.

    Args:
        event_microseconds: processor time to judge an event, all stages, states stored.
        event_bytes: of a transaction on its topic, headers and all, as the broker stores it.
        state_bytes: of a customer, as stored.
        written_bytes: of changelog, an event.
        memory_ratio: bytes of memory for a byte of state.
        idle_bytes: of memory before there is any state.
        recovery_bytes: of changelog that a worker reads back in a second.
        source: how it was measured.
    """

    event_microseconds: float
    event_bytes: float
    state_bytes: float
    written_bytes: float
    memory_ratio: float
    idle_bytes: float
    recovery_bytes: float
    source: str


class Load(Struct, frozen=True, kw_only=True):
    """What a bank brings.

    Args:
        transactions: a day.
        customers: with any transaction within a year.
        peak: the busiest second over the day's mean.
        keep_days: for which transactions stay on their topic.
        replication: copies of every topic.
        worker_bytes: memory that a worker may have.
        busy: share of a core that a worker may use in the busiest second, 0 to 1: the rest is for catching up.
    """

    transactions: float
    customers: float
    peak: float = 4.0
    keep_days: float = 3653.0
    replication: int = 3
    worker_bytes: float = 16 * GIB
    busy: float = 0.5


class Plan(Struct, frozen=True, kw_only=True):
    """What it takes. Bytes are of all workers or brokers together, unless a worker is named.

    Args:
        events_a_second: mean and busiest.
        workers: as many as both the processor and the memory ask for, and one more to lose.
        partitions: of every topic: a power of two, twice the workers at least, so that they can grow.
        worker_memory: of one worker when one is lost.
        network: bytes of changelog a second in the busiest second, before replication.
        recovery_seconds: to read back what one worker holds, its changelog being twice its states before compaction.
    """

    events_a_second: tuple[float, float]
    for_processor: int
    for_memory: int
    workers: int
    partitions: int
    state: float
    worker_memory: float
    topic_disk: float
    changelog_disk: float
    network: float
    recovery_seconds: float


def plan(load: Load, measured: Measured) -> Plan:
    """Size a pipeline.

    Raises:
        ValueError: a worker's memory is not even enough for an idle one; a share or a number is out of range.
    """
    if not 0 < load.busy <= 1 or load.peak < 1 or min(load.transactions, load.customers, load.replication) <= 0:
        raise ValueError("busy must be above 0 and at most 1, peak at least 1, and all else above 0")
    room = load.worker_bytes - measured.idle_bytes
    if room <= 0:
        raise ValueError(f"a worker needs {measured.idle_bytes / GIB:.2f} GiB before it holds any state")
    mean = load.transactions / 86_400
    busiest = mean * load.peak
    state = load.customers * measured.state_bytes
    for_processor = ceil(busiest * measured.event_microseconds / 1e6 / load.busy)
    for_memory = ceil(state * measured.memory_ratio / room)
    needed = max(for_processor, for_memory)
    partitions = 4
    while partitions < 2 * (needed + 1):
        partitions *= 2
    return Plan(
        events_a_second=(mean, busiest),
        for_processor=for_processor,
        for_memory=for_memory,
        workers=needed + 1,
        partitions=partitions,
        state=state,
        worker_memory=measured.idle_bytes + state * measured.memory_ratio / needed,
        topic_disk=load.transactions * measured.event_bytes * load.keep_days * load.replication,
        changelog_disk=2 * state * load.replication,
        network=busiest * measured.written_bytes,
        recovery_seconds=2 * state / (needed + 1) / measured.recovery_bytes,
    )
