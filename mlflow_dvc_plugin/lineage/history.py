"""All versions of a data set that the history here states."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence

from mlflow_dvc_plugin.gitrepo import GitError, GitObjects, call_git, call_git_z
from mlflow_dvc_plugin.lineage.revision import Revisions, Stated
from mlflow_dvc_plugin.provenance import Output
from mlflow_dvc_plugin.storage import Progress, quiet

_METADATA = (":(top,glob)**/*.dvc", ":(top,glob)**/dvc.lock")
_SETTINGS = ("showSignature=false", "showRoot=true", "follow=false", "diffMerges=separate")
_LOG = (*(word for one in _SETTINGS for word in ("-c", f"log.{one}")),
        "log", "--all", "--full-history")  # fmt: skip
_MANY = 2000  # files on a command line
_WAIT = 300.0  # seconds: a history may be long
_READING = "reading the history"


def states(toplevel: str, path: str, progress: Progress) -> Iterator[tuple[Stated, int]]:
    """Yield every commit of every branch that may have changed the data at the path.

    The newest first; with it comes its date in seconds since 1970. One commit after another is read
    in full, hence only those that changed a file which names the data.
    """
    progress(_READING, 0, 0)
    files = [f":(top,literal){file}" for file in sorted(_naming(toplevel, path))]
    if not files:
        return
    if len(files) > _MANY:
        files = list(_METADATA)
    out = call_git(toplevel, *_LOG, "--date-order", "--format=%H %ct", "--", *files, timeout=_WAIT)
    revisions = Revisions(toplevel)
    lines = out.decode().splitlines()
    for number, line in enumerate(lines, 1):
        commit, when = line.split(" ")
        progress(_READING, number, len(lines))
        yield revisions.at(commit), int(when)


def _naming(toplevel: str, path: str) -> set[str]:
    """Return the metadata files with a version that may name the path, or a folder above it."""
    try:
        records = call_git_z(
            toplevel, *_LOG, "--raw", "-m", "-z", "--no-abbrev", "--no-renames", "--format=", "--",
            *_METADATA, timeout=_WAIT,
        )  # fmt: skip
    except GitError as error:
        if error.code is None:
            raise
        return set()  # no commit yet
    files: dict[str, set[str]] = {}
    for head, file in zip(records[::2], records[1::2], strict=True):
        files.setdefault(head.split(" ")[3], set()).add(file)
    found: set[str] = set()
    for blob in _with_any(toplevel, sorted(files), path.split("/")):
        found.update(files[blob])
    # What dvc.lock calls an output is relative to a folder that only dvc.yaml names.
    return found | {_pipeline_of(file) for file in found if posixpath.basename(file) == "dvc.lock"}


def _with_any(toplevel: str, ids: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    """Yield those of the blobs with one of the names in them."""
    if not all(name.isascii() and name.isprintable() for name in names):
        yield from ids  # YAML may spell it with escapes
        return
    wanted = [name.encode() for name in names]
    for found in GitObjects(toplevel, _WAIT).read(ids):
        if found is not None and any(name in found[1] for name in wanted):
            yield found[0]


def _pipeline_of(lock: str) -> str:
    """Return the ``dvc.yaml`` beside a ``dvc.lock``."""
    return posixpath.join(posixpath.dirname(lock), "dvc.yaml")


def stated_versions(
    toplevel: str, path: str, commits: Sequence[str] = (), progress: Progress = quiet
) -> Iterator[tuple[Output, str, str, int | None]]:
    """Yield what the history, or just ``commits``, states of the output at or above the path.

    As (output, its DVC repository, commit, date), the newest first; a version that two commits
    state comes twice. A commit with another DVC root or metadata that nobody can read has none.
    """
    only = Revisions(toplevel)
    where: Iterable[tuple[Stated, int | None]]
    where = ((only.at(commit), None) for commit in commits)
    where = where if commits else states(toplevel, path, progress)
    for stated, when in where:
        out = stated.holder(path)
        if out is not None and out.hash is not None:
            yield out, stated.roots.get(out.path, ""), stated.commit, when
