"""Errors that a person at the shell can act on: what went wrong, and the remedy."""


class LiandongError(Exception):
    """Base of every error that the command prints without a traceback.

    Args:
        message: what is wrong, naming the thing at fault.
        remedy: what to do about it; empty when there is nothing to say.

    >>> str(LiandongError("no broker at 127.0.0.1:9092", "start one with `liandong broker`"))
    'no broker at 127.0.0.1:9092: start one with `liandong broker`'
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}: {remedy}" if remedy else message)
        self.message = message
        self.remedy = remedy


class SettingsError(LiandongError):
    """A variable of the environment that must not be used as it is. The message begins with its name."""


class AdminError(LiandongError):
    """The broker could not be reached or refused an administrative request. The message names the broker."""
