"""The registry of detectors, in the order in which they see an event."""

from models.detectors.base import Detector
from models.detectors.dormant_reactivation import DormantReactivation
from models.detectors.frequent_large_transfers import FrequentLargeTransfers
from models.detectors.large_transaction import LargeTransaction
from models.detectors.missing_control import MissingControl
from models.detectors.posted_report import POSTED_REPORTS
from models.detectors.scatter_gather import ScatterGather
from models.detectors.structuring import Structuring
from models.detectors.suspicious_counterparty import SuspiciousCounterparty

DETECTORS: tuple[Detector, ...] = (
    LargeTransaction(),
    FrequentLargeTransfers(),
    Structuring(),
    ScatterGather(),
    DormantReactivation(),
    MissingControl(),
    SuspiciousCounterparty(),
    *POSTED_REPORTS,
)
