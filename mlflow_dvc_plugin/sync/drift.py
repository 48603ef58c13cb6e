"""What is wrong with the data of a commit, and what only looks like it."""

from __future__ import annotations

import os
import posixpath
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from mlflow_dvc_plugin.capture import discovery, dvcstate, hashing, metadata
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.capture.disk import Disk
from mlflow_dvc_plugin.capture.facts import Facts
from mlflow_dvc_plugin.capture.files import WorktreeFiles
from mlflow_dvc_plugin.capture.pipeline import lock_of
from mlflow_dvc_plugin.capture.remembered import remembered
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import call_git_z
from mlflow_dvc_plugin.provenance import Metadata, Output, OutputState
from mlflow_dvc_plugin.sync.objects import Cache, own_cache
from mlflow_dvc_plugin.sync.quick import Fingerprints
from mlflow_dvc_plugin.sync.staged import Staged


@dataclass(frozen=True)
class Finding:
    """One line for a person; ``fixable`` is the output that ``dvc add`` would put right."""

    text: str
    hint: str
    blocks: bool = True
    fixable: Output | None = None


class Checked:
    """One DVC repository of the commit: ``prefix`` is its folder relative to the toplevel."""

    def __init__(self, worktree: Worktree, prefix: str, staged: Staged, facts: Facts) -> None:
        self._worktree = worktree
        self._top = worktree.toplevel
        self._prefix = prefix
        self._staged = staged
        self.root = os.path.normpath(os.path.join(self._top, prefix))
        self.store = facts.store(self.root)
        config = facts.config(self.root)
        site = dvcstate.site_cache_dir(config.site_cache_dir)
        self._disk = Disk(self._top, self.root, self.store, Deadline(None), site)
        self._cache = Cache(config.cache_dir or own_cache(self.root, worktree), self.root, site, {})
        self.metadata = self._read()
        self.outputs: Fingerprints = {}
        self.unsure = False

    def _read(self) -> Metadata:
        memo = self.store.data.setdefault("staged", {})
        files = self._staged.files
        found = discovery.commit_metadata_files(files, self._prefix)
        return metadata.load(files, self._top, self._prefix, found.paths, memo, absent=found.absent)

    def findings(self) -> Iterator[Finding]:
        """Yield what stands against the commit, and what should be known."""
        for path, reason in self.metadata.broken.items():
            hint = f"mend it, then: git add {shlex.quote(path)}"
            yield Finding(f"{path} cannot be read: {reason}", hint)
        outputs = [
            out for out in self.metadata.outputs
            if out.hash and out.scheme in hashing.SCHEMES and "://" not in out.path
        ]  # fmt: skip
        for state in self._disk.states(outputs):
            self._note(state)
            yield from self._of_state(state)
            if state.status != "modified" and self._is_new(state.output):
                yield from self._of_object(state)

    def _note(self, state: OutputState) -> None:
        """Keep how the output can be seen to be as it is, for the next commit."""
        found = remembered(self.store, state.output)
        self.unsure = self.unsure or (state.status != "missing" and found is None)
        self.outputs[state.path] = None if state.status == "missing" else found

    def _of_state(self, state: OutputState) -> Iterator[Finding]:
        out = state.output
        path = shlex.quote(out.path)
        if state.status == "missing" and self._is_new(out):
            yield Finding(f"{out.path} is not on disk", f"dvc pull {path}", blocks=False)
        if state.status == "unknown":
            yield Finding(f"{out.path} is unknown: {state.reason}", "mlflow-dvc status --hash",
                          blocks=False)  # fmt: skip
        if state.status != "modified":
            return
        source = lock_of(out.source) if out.stage else out.source
        if state.hash and state.hash == self._hash_on_disk(out):
            yield Finding(f"{source} names the data on disk, and is not staged",
                          f"git add {shlex.quote(source)}")  # fmt: skip
        elif state.hash and self._in_history(state.hash, source):
            text = f"{out.path} is behind: its bytes are another version's"
            yield Finding(text, f"dvc pull {path}", blocks=False)
        elif out.stage:
            name = f"{out.source}:{out.stage}"
            yield Finding(
                f"{out.path} differs from {source}",
                f"dvc repro {shlex.quote(name)}, or keep it: dvc commit {shlex.quote(name)}",
            )
        else:
            hint = f"dvc add {path} && git add {shlex.quote(source)}"
            yield Finding(f"{out.path} differs from {source}", hint, fixable=out)

    def _of_object(self, state: OutputState) -> Iterator[Finding]:
        """Look for the bytes of a hash that this commit introduces."""
        out = state.output
        if not out.cache or not out.hash or self._is_kept(out.hash, out.scheme):
            return
        source = lock_of(out.source) if out.stage else out.source
        if self._in_history(out.hash, source):
            return
        hint = "if it is on the DVC remote: MLFLOW_DVC_SKIP_HOOKS=pre-commit git commit ..."
        if state.status == "clean":
            hint = f"dvc commit {shlex.quote(out.source)}"
        yield Finding(f"{source} names data that is in no cache: {out.path} ({out.hash})", hint)

    def _is_kept(self, value: str, scheme: str) -> bool:
        if value.endswith(".dir"):
            listing = self._cache.listing(value, scheme)
            return listing is not None and all(
                os.path.exists(self._cache.path(md5, scheme)) for md5 in set(listing.values())
            )
        return os.path.exists(self._cache.path(value, scheme))

    def _is_new(self, out: Output) -> bool:
        source = lock_of(out.source) if out.stage else out.source
        return source in self._staged.entering

    def _hash_on_disk(self, out: Output) -> str | None:
        """Return what the metadata file in the worktree, staged or not, states of the output."""
        files = WorktreeFiles(self._top)
        found = metadata.load(files, self._top, self._prefix, [out.source], {})
        return next((one.hash for one in found.outputs if one.path == out.path), None)

    def _in_history(self, value: str, source: str) -> bool:
        """Tell whether any commit has changed a mention of this hash in the metadata file."""
        found = call_git_z(
            self._top, "--literal-pathspecs", "log", "-z", "--all", "-1", "--format=%H",
            f"-S{value}", "--", source,
        )  # fmt: skip
        return bool(found)


def in_git_too(found: Metadata, staged: Staged) -> Iterator[Finding]:
    """Yield data that DVC tracks and that enters Git as well."""
    tracked = {out.path for out in found.outputs if out.cache}
    for path in staged.entering:
        above = path
        while above:
            if above in tracked:
                yield Finding(f"{path} is tracked by DVC, and is being added to Git",
                              f"git rm --cached {shlex.quote(path)}")  # fmt: skip
                break
            above = posixpath.dirname(above)
