"""What may go wrong with a broker of our own, each with its remedy."""

from connectors.errors import LiandongError


class BrokerError(LiandongError):
    """A broker could not be started or kept."""


class JavaMissingError(BrokerError):
    """No Java of version 17 or newer is to be had: Apache Kafka cannot run."""


class JarsMissingError(BrokerError):
    """The jars of Apache Kafka could not be fetched, or are not the ones they should be."""


class FallbackMissingError(BrokerError):
    """The broker that stands in for Apache Kafka is not installed."""


class DataDirInUseError(BrokerError):
    """Another broker runs on the same folder."""


class BrokerStartError(BrokerError):
    """The broker ended before it answered, or did not answer in time. The message ends with the tail of its log."""
