"""Where a thing is that a run needs, and what that means for the run. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["reproducible", "only here", "unknown", "broken"]
BEST_FIRST: tuple[Verdict, ...] = ("reproducible", "only here", "unknown", "broken")


@dataclass(frozen=True)
class Place:
    """Whether a thing is ``here``, on this machine, and ``away``, on a remote; None: not known.

    ``where`` names the remote, ``reason`` says why it is not all well, ``hint`` is the command that
    mends it. ``judged`` is the verdict of what has several parts, each in a place of its own.
    """

    here: bool | None
    away: bool | None
    where: str = ""
    reason: str = ""
    hint: str = ""
    judged: Verdict | None = None

    @property
    def verdict(self) -> Verdict:
        """What that means: a thing that is away is safe, whether it is here or not."""
        if self.judged:
            return self.judged
        if self.away:
            return "reproducible"
        if self.away is None or self.here is None:
            return "unknown"
        return "only here" if self.here else "broken"


@dataclass(frozen=True)
class Promise:
    """One thing that a run states.

    ``kind`` is run, commit, snapshot, code, submodule, data commit, data or tags. ``name`` is a
    commit's id, a path or a tag; ``hash`` is DVC's, or the commit of a submodule.
    """

    kind: str
    name: str
    place: Place
    hash: str = ""

    @property
    def verdict(self) -> Verdict:
        """The verdict of its place."""
        return self.place.verdict


def unknown(reason: str, hint: str = "") -> Place:
    """Return the place of something of which nothing is known."""
    return Place(None, None, reason=reason, hint=hint)


def lost(reason: str, hint: str = "") -> Place:
    """Return the place of something that was never kept."""
    return Place(here=False, away=False, reason=reason, hint=hint)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of them; what is broken for sure comes before what is not known."""
    return max(verdicts, key=BEST_FIRST.index, default="reproducible")


def together(parts: Sequence[tuple[str, Place]]) -> Place:
    """Return the place of a thing with these parts, by name: it is where all of them are."""
    places = [place for _, place in parts]
    verdict = worst(place.verdict for place in places)
    bad = [(name, place) for name, place in parts if place.verdict == verdict]
    name, first = bad[0]
    reason = first.reason
    alike = len(bad) == len(parts) and len({place.reason for _, place in bad}) == 1
    if verdict != "reproducible" and not alike:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        reason = f"{name}{more}: {reason}"
    return Place(
        _all(place.here for place in places), _all(place.away for place in places),
        places[0].where, reason, first.hint, verdict,
    )  # fmt: skip


def _all(answers: Iterable[bool | None]) -> bool | None:
    found = set(answers)
    if False in found:
        return False
    return None if None in found else True
