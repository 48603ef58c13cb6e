"""The runs that used a data set, one version of it, or a file inside it."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator

from mlflow_dvc_plugin.capture import hashing
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import is_shallow
from mlflow_dvc_plugin.lineage.history import stated_versions
from mlflow_dvc_plugin.lineage.hits import Answer, Hit, Scope, Version
from mlflow_dvc_plugin.lineage.listings import inside
from mlflow_dvc_plugin.lineage.members import Members, named
from mlflow_dvc_plugin.lineage.needs import need_of
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.revision import Revisions, above, commit_id
from mlflow_dvc_plugin.lineage.usage import Usage, unhashed
from mlflow_dvc_plugin.lineage.what import What, below
from mlflow_dvc_plugin.storage import Progress

_HASHING = "hashing what is on disk"


def runs_of_path(scope: Scope, worktree: Worktree, what: What, answer: Answer) -> Iterator[Hit]:
    """Yield the runs that used the data at the path: at a revision that version, else any.

    Fills ``answer.versions`` and ``answer.now``.
    """
    path = what.path if what.path is not None else below(worktree, os.getcwd(), what.text)
    usage = Usage(scope, worktree.toplevel, answer)
    members = Members(worktree, Revisions(worktree.toplevel), answer, scope.progress)
    _fill_versions(worktree, path, what, members, answer, scope.progress)
    wanted = _wanted(path, what, answer)
    stated = {version.hash for version in answer.versions}
    for run, version in _with_path(usage, members, path, wanted or ""):
        if wanted is None or version == wanted:
            if version not in stated:
                stated.add(version)
                answer.versions.append(Version(path, version))
            yield Hit(run, "data", path=path, version=version)
    for name in (path, *above(path)):
        for run in usage.not_known(name):
            answer.gaps[f"run {run.run_id}"] = f"it used {name} in a version that is not known"
    for run in usage.not_listed():
        if "dvc.hash" not in run.tags and path not in usage.hashes(run):
            answer.gaps.setdefault(f"run {run.run_id}", "its tags do not name all data it used")
    if what.kind == "path" and not answer.versions and not answer.gaps:
        raise _no_data(worktree, path)


def _no_data(worktree: Worktree, path: str) -> MlflowDvcError:
    outputs = Revisions(worktree.toplevel).at(commit_id(worktree.toplevel, "HEAD")).outputs
    folder = "" if path == "." else f"{path}/"
    below_it = sorted(name for name in outputs if name.startswith(folder))
    text = f"there is no DVC data at {path}, now or in any commit, and no run used any"
    return MlflowDvcError(text, "; ".join(f"mlflow-dvc runs ./{name}" for name in below_it[:3]))


def runs_of_hash(
    scope: Scope, worktree: Worktree | None, prefix: str, answer: Answer
) -> Iterator[Hit]:
    """Yield the runs whose data has this hash, or a directory with a file of this hash in it."""
    usage = Usage(scope, worktree.toplevel if worktree else None, answer)
    for run in usage.of_hash(prefix):
        for path, version in sorted(usage.hashes(run).items()):
            if version.startswith(prefix):
                yield Hit(run, "data", path=path, version=version)
    if not prefix.endswith(".dir"):
        yield from _containing(usage, worktree, prefix, answer)
    for run in usage.not_known():
        some = sorted(unhashed(run))[0]
        answer.gaps[f"run {run.run_id}"] = f"it used {some} in a version that is not known"


def _containing(
    usage: Usage, worktree: Worktree | None, prefix: str, answer: Answer
) -> Iterator[Hit]:
    if worktree is None:
        answer.gaps["directories"] = "what lies in them can be told inside the project only"
        return
    members = Members(worktree, Revisions(worktree.toplevel), answer, usage.scope.progress)
    done: set[str] = set()
    for run in usage.data_states():
        if run.tags.get("dvc.hash", run.run_id) in done:
            continue
        done.add(run.tags.get("dvc.hash", run.run_id))
        if _inside(usage, members, run, prefix):
            for same in usage.of_state(run):
                yield from _inside(usage, members, same, prefix)
    for run in usage.not_known():
        yield from _inside(usage, members, run, prefix)


def _inside(usage: Usage, members: Members, run: Record, prefix: str) -> list[Hit]:
    found = []
    for path, name in sorted(usage.hashes(run).items()):
        listing = members.of_run(run, path, name) if name.endswith(".dir") else None
        for relpath, md5 in named(listing or {}, prefix):
            found.append(Hit(run, "member", path=posixpath.join(path, relpath), version=md5))
    return found


def _with_path(
    usage: Usage, members: Members, path: str, prefix: str
) -> Iterator[tuple[Record, str]]:
    """Yield the runs that used the path, as data of its own or inside a directory."""
    for run in usage.of_path(path, prefix):
        yield run, usage.hashes(run)[path]
    for folder in above(path):
        for run in usage.of_path(folder):
            listing = members.of_run(run, folder, usage.hashes(run)[folder])
            version = inside(listing or {}, posixpath.relpath(path, folder))
            if version is not None:
                yield run, version


def _wanted(path: str, what: What, answer: Answer) -> str | None:
    """Return the hash of the version asked for, None when every version is."""
    if not what.commits:
        return None
    if not answer.versions:
        if answer.gaps:
            reason = next(iter(answer.gaps.values()))
            raise MlflowDvcError(
                f"what {path} was in that commit cannot be told: {reason}", "dvc fetch"
            )
        raise MlflowDvcError(
            f"{what.commits[0][:10]} has no DVC data at {path}", f"mlflow-dvc runs {path}"
        )
    return answer.versions[0].hash


def _fill_versions(  # noqa: PLR0913, PLR0917
    worktree: Worktree, path: str, what: What, members: Members, answer: Answer,
    progress: Progress,
) -> None:  # fmt: skip
    found: dict[str, Version] = {}
    stated = stated_versions(worktree.toplevel, path, what.commits, progress)
    for out, root, commit, when in stated:
        version = out.hash
        if version is not None and out.path != path:
            need = need_of(out, out.path, version, root)
            listing = members.of_need(need)
            version = inside(listing or {}, posixpath.relpath(path, out.path))
        if version is not None:
            found[version] = Version(path, version, commit, when)
    answer.versions = list(found.values())
    if what.commits:
        return
    progress(_HASHING, 0, 0)
    answer.now = _on_disk(worktree, path, found)
    progress(_HASHING, 1, 1)
    if is_shallow(worktree.toplevel):
        answer.gaps["history"] = "this clone is shallow: older versions may be missing"


def _on_disk(worktree: Worktree, path: str, stated: dict[str, Version]) -> str | None:
    """Return the hash of what is on disk at the path, None when it is not there or not known."""
    full = os.path.join(worktree.toplevel, path)
    if os.path.isfile(full):
        try:
            for scheme in hashing.SCHEMES:
                found = hashing.file_md5(full, scheme, Deadline(None))[0]
                if found in stated:
                    return found
            return hashing.file_md5(full, hashing.SCHEMES[0], Deadline(None))[0]
        except (OSError, ValueError):
            return None
    if os.path.isdir(full):
        from mlflow_dvc_plugin.capture.live import Facts, capture

        data = capture(Facts(), thorough=True, given=full)[0].data
        states = [*data.inputs, *data.products] if data else []
        return next((state.hash for state in states if state.path == path), None)
    return None
