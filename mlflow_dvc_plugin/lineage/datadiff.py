"""What became of files and outputs between two lists of path -> hash. No I/O."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["added", "removed", "changed", "moved"]


@dataclass(frozen=True)
class Change:
    """One path: ``before`` and ``after`` are its hashes, ``was`` the name it has been moved from.

    Sizes in bytes, None where they are not known or there is nothing.
    """

    kind: Kind
    path: str
    was: str | None = None
    before: str | None = None
    after: str | None = None
    size_before: int | None = None
    size_after: int | None = None


def changes(first: Mapping[str, str], second: Mapping[str, str]) -> tuple[Change, ...]:
    """Return what turns the first list into the second, by path.

    The same hash under another name is moved; a copy beside the original is added.
    """
    gone = [path for path in first if path not in second]
    new = [path for path in second if path not in first]
    moved = _moves({path: first[path] for path in gone}, {path: second[path] for path in new})
    left = set(moved.values())
    found = [
        Change("changed", path, None, before, second[path])
        for path, before in first.items()
        if path in second and second[path] != before
    ]
    found += [Change("removed", path, before=first[path]) for path in gone if path not in left]
    for path in new:
        was, after = moved.get(path), second[path]
        kind: Kind = "added" if was is None else "moved"
        found.append(Change(kind, path, was, None if was is None else after, after))
    return tuple(sorted(found, key=lambda one: one.path))


def applied(first: Mapping[str, str], made: Iterable[Change]) -> dict[str, str]:
    """Return the list that the changes turn ``first`` into."""
    made = list(made)
    dropped = {one.was or one.path for one in made if one.kind in ("removed", "moved")}
    result = {path: value for path, value in first.items() if path not in dropped}
    result.update({one.path: one.after for one in made if one.after is not None})
    return result


def _moves(gone: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """Return new path -> old path of equal hashes, those that keep their last name first."""
    moved: dict[str, str] = {}
    for keeps_name in (True, False):
        left = set(moved.values())
        places: dict[tuple[str, str], list[str]] = defaultdict(list)
        for path in sorted(gone.keys() - left, reverse=True):
            places[_mark(gone[path], path, keeps_name)].append(path)
        for path in sorted(new.keys() - moved.keys()):
            there = places.get(_mark(new[path], path, keeps_name))
            if there:
                moved[path] = there.pop()
    return moved


def _mark(value: str, path: str, keeps_name: bool) -> tuple[str, str]:
    return value, posixpath.basename(path) if keeps_name else ""
