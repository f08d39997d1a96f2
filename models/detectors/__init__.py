"""The registry of detectors, in the order in which they see an event."""

from models.detectors.base import Detector
from models.detectors.frequent_large_transfers import FrequentLargeTransfers
from models.detectors.large_transaction import LargeTransaction
from models.detectors.teller_report import TellerReport

DETECTORS: tuple[Detector, ...] = (LargeTransaction(), FrequentLargeTransfers(), TellerReport())
