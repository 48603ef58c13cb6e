"""A point in time by which an answer must be there."""

from __future__ import annotations

import time

_NEVER = float("inf")


class OutOfTimeError(Exception):
    """The deadline passed before the question was answered: the answer is ``unknown``."""


class Deadline:
    """A moment on the monotonic clock; ``seconds`` from now, or never when None."""

    def __init__(self, seconds: float | None) -> None:
        self.at = _NEVER if seconds is None else time.monotonic() + seconds

    def remaining(self, at_most: float = 3600.0) -> float:
        """Return the seconds left, never negative and never over ``at_most``."""
        return max(0.0, min(self.at - time.monotonic(), at_most))

    def check(self) -> None:
        """Raise OutOfTimeError when the moment has passed."""
        if time.monotonic() >= self.at:
            raise OutOfTimeError

    @classmethod
    def sooner(cls, other: Deadline, share: float) -> Deadline:
        """Return the deadline after ``share`` of the time that ``other`` has left."""
        found = cls(None)
        if other.at != _NEVER:
            found.at = time.monotonic() + share * other.remaining()
        return found
