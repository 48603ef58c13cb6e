"""The pre-commit hook: no commit with a hash that is not the data's."""

from __future__ import annotations

import contextlib
import os
import posixpath
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence

from mlflow_dvc_plugin import gitdir
from mlflow_dvc_plugin.capture.facts import Facts
from mlflow_dvc_plugin.config import read_settings
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import call_git
from mlflow_dvc_plugin.sync import quick
from mlflow_dvc_plugin.sync.drift import Checked, Finding, in_git_too
from mlflow_dvc_plugin.sync.staged import Staged, can_stage, read_staged, sizes

_MEGABYTE = 1_000_000


def pre_commit(args: Sequence[str]) -> int:
    """Check the index of this commit; return 1 when the commit must not be made.

    ``--fix`` among ``args`` is the setting ``fix``.
    """
    worktree = gitdir.require_worktree(os.getcwd())
    settings, problems = read_settings(worktree.toplevel)
    for problem in problems:
        _say(problem)
    staged = read_staged(worktree)
    roots = _roots(staged)
    if not roots:
        return 0
    facts = Facts()
    found: list[Finding] = list(_too_large(worktree, staged, settings.max_file_size))
    checks = [Checked(worktree, prefix, staged, facts) for prefix in roots]
    for checked in checks:
        found += [*checked.findings(), *in_git_too(checked.metadata, staged)]
        checked.store.save()
    if not found and not problems and not any(checked.unsure for checked in checks):
        _remember(worktree, staged, settings.max_file_size, checks)
    if (settings.fix or "--fix" in args) and _may_fix():
        found = [one for one in found if not _fixed(worktree, staged, one)]
    for one in found:
        _say(f"{one.text}; run: {one.hint}")
    return 1 if settings.drift == "block" and any(one.blocks for one in found) else 0


def _remember(worktree: Worktree, staged: Staged, limit: float, checks: Sequence[Checked]) -> None:
    """Let the next commit be seen to be clean without all this."""
    outputs = {path: found for checked in checks for path, found in checked.outputs.items()}
    tracked = [out.path for one in checks for out in one.metadata.outputs if out.cache]
    with contextlib.suppress(OSError, ValueError):
        quick.keep(worktree, staged.files.commit, limit * _MEGABYTE, outputs, tracked)


def _roots(staged: Staged) -> list[str]:
    ending = ".dvc/config"
    found = [path for path in staged.files.paths if posixpath.split(path)[1] == "config"]
    return sorted(
        path[: -len(ending)].rstrip("/") for path in found if f"/{path}".endswith("/" + ending)
    )


def _too_large(worktree: Worktree, staged: Staged, limit: float) -> Iterator[Finding]:
    for path, size in sizes(worktree.toplevel, staged.entering).items():
        if size > limit * _MEGABYTE:
            quoted = shlex.quote(path)
            yield Finding(
                f"{path} has {size / _MEGABYTE:.1f} MB, which belongs to DVC, not to Git",
                f"git rm --cached {quoted} && dvc add {quoted} (or raise max_file_size)",
            )


def _may_fix() -> bool:
    """Tell whether the files on disk are the person's: below the framework they may not be.

    It sets unstaged changes aside as a patch, which no longer applies to metadata that was written
    and staged meanwhile (``core.autostage`` does it too); all unstaged changes would be left out.
    """
    if not os.environ.get("PRE_COMMIT"):
        return True
    _say("nothing is fixed below the pre-commit framework, which may have set changes aside")
    return False


def _fixed(worktree: Worktree, staged: Staged, one: Finding) -> bool:
    """Record drifted data with ``dvc add`` and stage its metadata; tell whether all is well."""
    out = one.fixable
    if out is None:
        return False
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "add", "--quiet", "--", out.path], cwd=worktree.toplevel,
        env=env, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False,
    )  # fmt: skip
    if done.returncode:
        return False
    if not can_stage(worktree, staged.index):
        hint = f"git add {shlex.quote(out.source)}, then commit again"
        raise MlflowDvcError(f"{out.source} is up to date, but Git's index is in use", hint)
    call_git(worktree.toplevel, "add", "--", out.source)
    _say(f"recorded {out.path} in {out.source}")
    return True


def _say(text: str) -> None:
    print(f"mlflow-dvc: {text}", file=sys.stderr)
