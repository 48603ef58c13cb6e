"""Which outputs two sides do not share, and what differs inside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from mlflow_dvc_plugin.lineage.datadiff import Change, changes
from mlflow_dvc_plugin.lineage.dataside import Side, paths_of
from mlflow_dvc_plugin.lineage.needs import Need


@dataclass(frozen=True)
class OutputDiff:
    """One output that is not the same, or of which that is not known (``unknown``).

    ``files`` are the changes inside a directory, None where there is no such thing, or no telling:
    ``note`` says why then. ``same_files`` counts those that did not change. Sizes in bytes.
    """

    kind: Literal["added", "removed", "changed", "moved", "unknown"]
    path: str
    was: str | None = None
    before: str | None = None
    after: str | None = None
    product: bool = False
    note: str = ""
    size_before: int | None = None
    size_after: int | None = None
    files: tuple[Change, ...] | None = None
    same_files: int = 0


@dataclass(frozen=True)
class DataDiff:
    """``equal`` counts the outputs that are the same; ``gaps`` says what is not known of a side."""

    outputs: tuple[OutputDiff, ...] = ()
    equal: int = 0
    gaps: tuple[str, ...] = ()

    @property
    def same(self) -> bool | None:
        """Whether the data is the same, None when that is not known."""
        if any(one.kind != "unknown" for one in self.outputs):
            return False
        return None if self.gaps or self.outputs else True


def data_diff(first: Side, second: Side, *, everything: bool = False) -> DataDiff:
    """Compare the inputs of two sides, with ``everything`` the other outputs as well.

    An output counts as soon as it is an input of one side: the other may have made it. What is on
    disk now is nobody's input: it counts when the run used it, or did not have it at all.
    """
    both = {"first": first, "second": second}
    gaps = tuple(f"{name}: {side.gap}" for name, side in both.items() if side.gap)
    if any(side.gap and not side.needs for side in both.values()):
        return DataDiff(gaps=tuple(gaps))
    found, equal = [], 0
    for path in sorted(paths_of(both.values())):
        if not (everything or _counts(path, first, second)):
            continue
        one = _one(path, first, second)
        if one is None:
            equal += 1
        else:
            found.append(one)
    return DataDiff(tuple(_with_moves(found)), equal, gaps)


def _counts(path: str, first: Side, second: Side) -> bool:
    ours, theirs = first.needs.get(path), second.needs.get(path)
    if (ours and not ours.product) or (path in first.unknown and not ours):
        return True
    if second.disk is not None:
        is_input = path in second.unknown or (theirs is not None and not theirs.product)
        new = first.tracks(path) is not True or path in first.missing
        return is_input and new and not first.has_parts(path)
    return path in second.unknown or bool(theirs and not theirs.product)


def _one(path: str, first: Side, second: Side) -> OutputDiff | None:
    """Return how the output differs, None when it is the same."""
    for name, side in (("first", first), ("second", second)):
        if path in side.unknown and path not in side.needs:
            return _unknown(path, first, second, f"{name}: {side.unknown[path]}")
    before, after = first.find(path), second.find(path)
    if before and after:
        return None if before.hash == after.hash else _changed(before, after, first, second)
    there = before or after
    if there is None:  # a part of a directory whose list cannot be had
        return _unknown(path, first, second, "what lies in the directory cannot be told")
    ours, others = (first, second) if before else (second, first)
    why = _why_absent(there, others)
    if why.startswith("?"):
        return _unknown(path, first, second, ("second: " if before else "first: ") + why[1:])
    size, files = ours.size(there), _all_files(there, ours, added=before is None)
    if before:
        return OutputDiff("removed", path, None, there.hash, None, there.product, why, size, None,
                          files)  # fmt: skip
    return OutputDiff("added", path, None, None, there.hash, there.product, why, None, size, files)


def _unknown(path: str, first: Side, second: Side, note: str) -> OutputDiff:
    before, after = first.needs.get(path), second.needs.get(path)
    product = bool((before or after) and all(one.product for one in (before, after) if one))
    hashes = [one.hash if one else None for one in (before, after)]
    return OutputDiff("unknown", path, None, hashes[0], hashes[1], product, note)


def _why_absent(there: Need, others: Side) -> str:
    """Return what is known of an output that a side does not have; "?" before what is not."""
    if there.path in others.missing:
        return "tracked there as well, but not on disk"
    if others.gap:
        return f"?{others.gap}"
    if _inside_unread(there.path, others):
        return "?what lies in the directory cannot be told"
    if others.has_parts(there.path):
        return "only parts of it are used there"
    tracks = others.tracks(there.path)
    if there.product and tracks is not False:
        return "?not recorded there"
    return "tracked there as well, but not used" if tracks else ""


def _inside_unread(path: str, side: Side) -> bool:
    holder = side.holder(path)
    return bool(holder and holder.hash.endswith(".dir") and isinstance(side.listing(holder), str))


def _changed(before: Need, after: Need, first: Side, second: Side) -> OutputDiff:
    product = before.product and after.product
    found = OutputDiff("changed", after.path, None, before.hash, after.hash, product, "",
                       first.size(before), second.size(after))  # fmt: skip
    folders = before.hash.endswith(".dir"), after.hash.endswith(".dir")
    if before.legacy != after.legacy:
        text = "one hash was made by DVC 2.x, which counts all line ends as one: maybe only these"
        found = replace(found, note=text)
    if folders != (True, True):
        kinds = ["a directory" if folder else "a file" for folder in folders]
        text = f"{kinds[0]} before, {kinds[1]} after"
        return replace(found, note=text) if any(folders) else found
    rows, others = first.listing(before), second.listing(after)
    if isinstance(rows, str) or isinstance(others, str):
        reason = rows if isinstance(rows, str) else others
        return replace(found, note=f"what differs inside it cannot be told: {reason}")
    made = changes(rows, others)
    touched = {name for one in made for name in (one.was, one.path) if name in rows}
    files = _sized(made, before, after, first, second)
    return replace(found, files=files, same_files=len(rows) - len(touched))


def _sized(
    made: tuple[Change, ...], before: Need, after: Need, first: Side, second: Side
) -> tuple[Change, ...]:
    old = {one.was or one.path: one.before for one in made if one.before}
    new = {one.path: one.after for one in made if one.after}
    sizes, others = first.sizes(before, old), second.sizes(after, new)
    return tuple(
        replace(one, size_before=sizes.get(one.was or one.path), size_after=others.get(one.path))
        for one in made
    )


def _all_files(there: Need, side: Side, *, added: bool) -> tuple[Change, ...] | None:
    rows: Mapping[str, str] | str = side.listing(there) if there.hash.endswith(".dir") else ""
    if isinstance(rows, str):
        return None
    made = changes({}, rows) if added else changes(rows, {})
    return _sized(made, there, there, side, side)


def _with_moves(found: list[OutputDiff]) -> Iterator[OutputDiff]:
    """Yield the outputs, those of equal hash that went and came under another name as one."""
    gone = {one.path: one for one in found if one.kind == "removed" and one.before}
    new = {one.path: one for one in found if one.kind == "added" and one.after}
    pairs = changes(
        {path: one.before or "" for path, one in gone.items()},
        {path: one.after or "" for path, one in new.items()},
    )
    moved = {one.path: one.was for one in pairs if one.was}
    for one in found:
        was = moved.get(one.path)
        if was is not None and one.kind == "added":
            yield replace(one, kind="moved", was=was, before=one.after, files=None,
                          size_before=one.size_after)  # fmt: skip
        elif one.path not in moved.values() or one.kind != "removed":
            yield one
