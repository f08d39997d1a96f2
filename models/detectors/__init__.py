"""The registry of detectors, in the order in which they see an event."""

from models.detectors.base import Detector
from models.detectors.dormant_reactivation import DormantReactivation
from models.detectors.frequent_large_transfers import FrequentLargeTransfers
from models.detectors.large_transaction import LargeTransaction
from models.detectors.missing_control import MissingControl
from models.detectors.posted_report import KIND_NAMES, PostedReport
from models.detectors.scatter_gather import ScatterGather
from models.detectors.structuring import Structuring
from models.detectors.suspicious_counterparty import SuspiciousCounterparty
from models.detectors.teller_report import TellerReport

DETECTORS: tuple[Detector, ...] = (
    LargeTransaction(),
    FrequentLargeTransfers(),
    Structuring(),
    ScatterGather(),
    DormantReactivation(),
    MissingControl(),
    SuspiciousCounterparty(),
    TellerReport(),
    *(PostedReport(kind) for kind in KIND_NAMES),
)
