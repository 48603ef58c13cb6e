"""The data of a worktree beside its metadata: what is stated now, and what lies there."""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from mlflow_dvc_plugin import gitrepo
from mlflow_dvc_plugin.capture import datafiles, dvcstate, hashing, places
from mlflow_dvc_plugin.capture.datarepo import DataRepo
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.capture.facts import Facts
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.provenance import Output, OutputState
from mlflow_dvc_plugin.sync.gate import Taken
from mlflow_dvc_plugin.sync.ledger import Entry, Ledger
from mlflow_dvc_plugin.sync.objects import Cache, own_cache

_STATES_OUTPUTS = re.compile(rb"^\s*outs:", re.MULTILINE)
_ENOUGH = 1 << 20  # bytes


class Repository(NamedTuple):
    """One DVC repository of the worktree; ``stated`` are its outputs that a cache can hold."""

    repo: DataRepo
    cache: str
    site_cache: str | None
    links: tuple[str, ...]
    stated: dict[str, Output]

    @property
    def name(self) -> str:
        """Its root relative to the toplevel, POSIX."""
        return os.path.relpath(self.repo.root, self.repo.toplevel).replace(os.sep, "/")

    @property
    def broken(self) -> dict[str, str]:
        """Metadata files that cannot be read, with the reason."""
        return {**self.repo.metadata.broken, **self.repo.unread}


def repositories(worktree: Worktree, ledger: Ledger, taken: Taken) -> list[Repository]:
    """Return the DVC repositories of the worktree, those with data left behind included."""
    status = gitrepo.Status(None, None, (), taken.untracked)
    facts = Facts()
    facts.git.given(worktree, taken.tracked)
    roots = set(places.nested_dvc_roots(worktree.toplevel, [*taken.tracked, *taken.untracked]))
    roots.add(worktree.toplevel)
    roots.update(os.path.join(worktree.toplevel, entry.root) for entry in ledger.outputs.values())
    there = [root for root in map(os.path.normpath, roots) if os.path.isdir(f"{root}/.dvc")]
    return [_read(root, worktree, status, facts) for root in sorted(set(there))]


def _read(root: str, worktree: Worktree, status: gitrepo.Status, facts: Facts) -> Repository:
    repo = DataRepo(root, facts, Deadline(None), [])
    repo.read(worktree, status)
    cache = repo.config.cache_dir or own_cache(root, worktree)
    site = dvcstate.site_cache_dir(repo.config.site_cache_dir)
    stated = followed(repo.metadata.outputs)
    return Repository(repo, cache, site, repo.config.links, stated)


def homeless(worktree: Worktree, there: Sequence[Repository], paths: Iterable[str]) -> list[str]:
    """Return those of the metadata files at ``paths`` that no DVC repository here holds.

    A ``.dvc`` or ``dvc.lock`` that a conflict or a partial checkout has left without its
    ``.dvc/config``; what only has such a name states no outputs.
    """
    roots = tuple("" if one.name == "." else f"{one.name}/" for one in there)
    found = []
    for path in paths:
        if path.endswith((".dvc", "dvc.lock")) and not path.startswith(roots):
            with contextlib.suppress(OSError), open(f"{worktree.toplevel}/{path}", "rb") as file:
                if _STATES_OUTPUTS.search(file.read(_ENOUGH)):
                    found.append(path)
    return found


def followed(outputs: Iterable[Output]) -> dict[str, Output]:
    """Return by path those outputs that a cache can hold."""
    return {
        out.path: out for out in outputs
        if out.hash and out.cache and out.scheme in hashing.SCHEMES
        and "://" not in out.path and not os.path.isabs(out.path)
    }  # fmt: skip


def loses_cache(repository: Repository, worktree: Worktree, cache: str) -> bool:
    """Tell whether a sparse checkout leaves out ``.dvc`` with this cache in it.

    In cone mode Git then deletes what it ignores there, right after its hook has run
    (``clean_tracked_sparse_directories`` in sparse-checkout.c): the cache is no safe place.
    """
    folder = os.path.join(repository.repo.root, ".dvc")
    config = os.path.join(folder, "config")
    if os.path.exists(config) or not f"{cache}{os.sep}".startswith(folder + os.sep):
        return False
    name = os.path.relpath(config, worktree.toplevel)
    listed = gitrepo.call_git(
        worktree.toplevel, "--literal-pathspecs", "ls-files", "-t", "--", name
    )
    return listed.startswith(b"S ")


def present(repository: Repository, state: OutputState, cache: Cache) -> Mapping[str, str] | None:
    """Return relative path -> md5 of the files that are part of the data on disk now.

    "" stands for a file output. Raises OSError, ValueError, MlflowDvcError.
    """
    if state.status == "missing":
        return None
    scheme = state.output.scheme
    full = os.path.join(repository.repo.toplevel, state.path)
    if not os.path.isdir(full):
        return {"": state.hash} if state.hash else {"": hashing.file_md5(full, scheme, _NEVER)[0]}
    known = cache.listing(state.hash, scheme) if state.hash else None
    return known if known is not None else _hashed(repository, full, scheme)


def _hashed(repository: Repository, full: str, scheme: str) -> dict[str, str]:
    root = repository.repo.root
    ignored = bool(datafiles.patterns_above(os.path.dirname(full), root))
    return {
        rel.replace(os.sep, "/"): hashing.file_md5(os.path.join(full, rel), scheme, _NEVER)[0]
        for rel in datafiles.data_files(root, full, ignored, _NEVER)
    }


def entry_of(output: Output, repository: Repository, seen: str) -> Entry:
    """Return what is remembered of an output that is in sync."""
    return Entry(output.hash or "", output.scheme, output.isdir, output.source,
                 repository.cache, repository.name, seen)  # fmt: skip


def seen_of(output: Output, seen: Mapping[str, str]) -> str:
    """Return the identity of the metadata file that states the output's hash."""
    locked = posixpath.splitext(output.source)[0] + ".lock" if output.stage else output.source
    return seen.get(locked, "")


_NEVER = Deadline(None)
