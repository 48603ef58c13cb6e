"""The checks of ``mlflow-dvc doctor``; each yields what it found."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from mlflow_dvc_plugin.cli.text import counted, switched_off

_DISTRIBUTION = "mlflow-dvc-plugin"
_SECONDS = 5.0  # for the tracking server
_DVC_HOOKS = ("post-checkout", "pre-commit", "pre-push")


@dataclass(frozen=True)
class Check:
    """One line: ``note`` is worth knowing, ``problem`` has to be mended, by ``fix`` if known."""

    name: str
    level: Literal["ok", "note", "problem"]
    text: str
    fix: str = ""


def versions() -> Iterator[Check]:
    """Compare what is installed with the minimum that our metadata states."""
    pip = f"{sys.executable} -m pip install"
    yield Check("python", "ok", f"{sys.version.split()[0]} in {sys.executable}")
    for name, least in minimums().items():
        found = _version(name)
        if found is None:
            yield Check(name, "problem", "is not installed here", f"{pip} '{name}>={least}'")
        elif _numbers(found) < _numbers(least):
            text = f"{found} is older than {least}"
            yield Check(name, "problem", text, f"{pip} '{name}>={least}'")
        else:
            yield Check(name, "ok", f"{found} ({least} or newer)")
    yield _git_program()


def minimums() -> dict[str, str]:
    """Return the lowest version of each library that ``install_requires`` of ours names."""
    found = {}
    for line in metadata.requires(_DISTRIBUTION) or ():
        match = re.match(r"(mlflow|dvc|GitPython)>=([0-9.]+)$", line.partition(";")[0].strip())
        if match:
            found[match[1]] = match[2]
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return _version("mlflow-skinny") if name == "mlflow" else None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _git_program() -> Check:
    from mlflow_dvc_plugin.gitrepo import GitError, call_git

    try:
        return Check("git", "ok", call_git(os.getcwd(), "--version").decode().split()[2])
    except GitError as error:
        return Check("git", "problem", error.message, error.hint)


def plugin() -> Iterator[Check]:
    """Ask MLflow's registry whether it has loaded the provider."""
    import mlflow
    from mlflow.tracking.context import registry

    providers = list(registry._run_context_provider_registry)
    if any(type(one).__module__ == "mlflow_dvc_plugin.context" for one in providers):
        yield Check("plugin", "ok", f"loaded by MLflow {mlflow.__version__}")
        return
    text = f"MLflow {mlflow.__version__} does not load it"
    yield Check("plugin", "problem", text, f"{sys.executable} -m pip install <checkout or wheel>")


def switches() -> Iterator[Check]:
    """Look at the switches; wrong settings are found by the capture."""
    from mlflow_dvc_plugin.config import flag

    if switched_off():
        text = "runs get no tags, because MLFLOW_DVC_DISABLE is set"
        yield Check("switches", "problem", text, "unset MLFLOW_DVC_DISABLE")
    if flag("MLFLOW_DVC_STRICT"):
        text = "MLFLOW_DVC_STRICT is set: only a clean state starts a run"
        yield Check("switches", "ok", text)
    elif os.environ.get("MLFLOW_DVC_STRICT"):
        text = f"MLFLOW_DVC_STRICT={os.environ['MLFLOW_DVC_STRICT']!r} does not switch it on"
        yield Check("switches", "note", text, "export MLFLOW_DVC_STRICT=1")


def repositories() -> Iterator[Check]:
    """Capture once, as a run would, and tell what was found and what was not."""
    import time

    from mlflow_dvc_plugin.capture.live import Facts, capture

    start = time.monotonic()
    found, settings = capture(Facts())
    seconds = time.monotonic() - start
    code, data = found.code, found.data
    if code is None:
        text = f"there is none in {os.getcwd()} or above it: runs get no commit"
        yield Check("git repository", "note", text, "git init, or cd <project>")
    elif code.commit is None:
        text = f"{code.toplevel} has no commit yet"
        yield Check("git repository", "note", text, "git add --all && git commit")
    else:
        yield Check("git repository", "ok", f"{code.toplevel} at {code.commit[:12]}")
    if data is None:
        yield Check("dvc repository", "note", "none is found: runs get no data tags", "dvc init")
    else:
        known = counted(len(data.inputs) + len(data.products) + len(data.missing), "output")
        yield Check("dvc repository", "ok", f"{data.root} with {known}")
    yield Check("capture", "ok", f"took {seconds:.2f} s of {settings.budget:g} s")
    for _, text in found.warnings:
        sentence, _, fix = text.partition("; run: ")
        yield Check("capture", "problem", sentence, fix)


def dvc_hooks() -> Iterator[Check]:
    """Tell which of DVC's own Git hooks are installed, and what they do not cover."""
    from mlflow_dvc_plugin import gitdir
    from mlflow_dvc_plugin.capture import places
    from mlflow_dvc_plugin.gitrepo import GitError, call_git

    root = places.find_dvc_root(places.start([]), None)
    worktree = gitdir.find_worktree(root) if root else None
    if worktree is None:
        return
    try:
        out = call_git(worktree.toplevel, "rev-parse", "--git-path", "hooks")
    except GitError:
        return  # the capture has said why
    folder = os.path.join(worktree.toplevel, os.fsdecode(out).rstrip("\n"))
    found = [name for name in _DVC_HOOKS if "dvc git-hook" in _text(os.path.join(folder, name))]
    if found:
        text = (
            f"{', '.join(found)} installed by DVC; none of them runs after git pull, merge, reset "
            "or rebase: run dvc checkout there yourself"
        )
    else:
        text = "none installed" + (
            "" if _ours(folder) else ": after git checkout, pull or reset run dvc checkout yourself"
        )
    yield Check("dvc hooks", "ok", text)


def _ours(folder: str) -> bool:
    from mlflow_dvc_plugin.sync import foreign

    return foreign.look(folder, "post-checkout").kind in ("ours", "block")


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(4096)
    except OSError:
        return ""


def tracking_store() -> Iterator[Check]:
    """Ask the tracking store whether it answers, without creating one."""
    from mlflow_dvc_plugin import tracking

    uri = tracking.tracking_uri()
    path = tracking.local_path(uri)
    if path is not None and not os.path.exists(path):
        yield Check("tracking", "ok", f"{path} is created by the first run")
        return
    tracking.require(uri, _SECONDS)
    yield Check("tracking", "ok", f"{tracking.shown(uri)} answers" if path is None else path)
