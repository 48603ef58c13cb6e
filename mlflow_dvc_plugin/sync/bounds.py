"""Where data may be written and removed: in the DVC repository's worktree, and nowhere else.

Metadata comes from whoever wrote the commit. A path into ``.git`` would be a program that Git runs,
and a link in the worktree may lead anywhere; DVC refuses data behind links, too (``dvc add``).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

_RESERVED = (".git", ".dvc", ".hg")


def is_reserved(part: str) -> bool:
    """Tell whether a folder with this name is a repository's own, whatever the file system."""
    return part.rstrip(" .").lower() in _RESERVED


def refusal(path: str, root: str) -> str | None:
    """Return why no data can be at the absolute path, None when it can; looks at names only."""
    path, root = os.path.normpath(path), os.path.normpath(root)
    if not path.startswith(root + os.sep):
        return f"{path} is not in the DVC repository"
    if any(map(is_reserved, path[len(root) :].split(os.sep))):
        return f"{path} is no place for data"
    return None


def behind_link(places: Iterable[str], toplevel: str, going: Collection[str]) -> str | None:
    """Return why one of the places cannot be had: a folder above it is a link that stays.

    ``going`` are the places of files that are taken away first.
    """
    top = os.path.normpath(toplevel)
    folders = {os.path.dirname(os.path.normpath(place)) for place in places}
    for folder in sorted(folders | {above for one in folders for above in _above(one, top)}):
        if len(folder) > len(top) and folder not in going and os.path.islink(folder):
            real, inside = os.path.realpath(folder), os.path.realpath(top)
            out = real != inside and not real.startswith(inside + os.sep)
            return f"{folder} {'leads out of the repository by a link' if out else 'is a link'}"
    return None


def _above(folder: str, top: str) -> Iterable[str]:
    while len(folder) > len(top):
        yield folder
        folder = os.path.dirname(folder)
