"""All versions of a data set that the history here states."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence

from mlflow_dvc_plugin.gitrepo import GitError, call_git
from mlflow_dvc_plugin.lineage.revision import Revisions, Stated
from mlflow_dvc_plugin.provenance import Output

_METADATA = (":(top,glob)**/*.dvc", ":(top,glob)**/dvc.lock", ":(top,glob)**/dvc.yaml")
_PATIENCE = 300.0  # seconds: a history may be long


def holder(stated: Stated, path: str) -> Output | None:
    """Return the output at the path, or the directory output that it lies in."""
    while path and path not in stated.outputs:
        path = posixpath.dirname(path)
    return stated.outputs.get(path) if path else None


def states(toplevel: str) -> Iterator[tuple[Stated, int]]:
    """Yield every commit of every branch that changed DVC's metadata, the newest first.

    With it comes its date in seconds since 1970.
    """
    try:
        out = call_git(
            toplevel, "-c", "log.showSignature=false", "log", "--all", "--full-history",
            "--date-order", "--format=%H %ct", "--", *_METADATA, timeout=_PATIENCE,
        )  # fmt: skip
    except GitError as error:
        if error.code is None:
            raise
        return  # no commit yet
    revisions = Revisions(toplevel)
    for line in out.decode().splitlines():
        commit, when = line.split(" ")
        yield revisions.at(commit), int(when)


def stated_versions(
    toplevel: str, path: str, commits: Sequence[str] = ()
) -> Iterator[tuple[Output, str, str, int | None]]:
    """Yield what the history, or just ``commits``, states of the output at or above the path.

    As (output, its DVC repository, commit, date), the newest first; a version that two commits
    state comes twice. A commit with another DVC root or metadata that nobody can read has none.
    """
    only = Revisions(toplevel)
    where: Iterable[tuple[Stated, int | None]]
    where = ((only.at(commit), None) for commit in commits) if commits else states(toplevel)
    for stated, when in where:
        out = holder(stated, path)
        if out is not None and out.hash is not None:
            yield out, stated.roots.get(out.path, ""), stated.commit, when


def cut_off(toplevel: str) -> bool:
    """Tell whether the history here has an end that is not its beginning."""
    return call_git(toplevel, "rev-parse", "--is-shallow-repository").strip() == b"true"
