"""Ask the provider as MLflow does, and look at what it says and starts."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

COMMIT = "mlflow.source.git.commit"
BRANCH = "mlflow.source.git.branch"
URL = "mlflow.source.git.repoURL"
DIRTY = "git.dirty"


def tags() -> dict[str, str]:
    """Return what a provider that has seen nothing yet answers now."""
    from mlflow_dvc_plugin.context import DvcRunContext

    provider = DvcRunContext()
    return provider.tags() if provider.in_context() else {}


def code_of(found: dict[str, str]) -> tuple[str | None, str | None, str]:
    """Return (commit, branch, dirty), where MLflow's words for "none" count as none.

    They are set when MLflow's own provider has cached a value that is not so any more; in these
    tests that depends on where pytest itself is installed.
    """
    assert found["mlflow.source.git.dirty"] == found[DIRTY]
    commit, branch = found.get(COMMIT), found.get(BRANCH)
    return (
        None if commit == "unknown" else commit,
        None if branch == "HEAD" else branch,
        found[DIRTY],
    )


def same_state(found: dict[str, str]) -> dict[str, str]:
    """Return the tags without what MLflow's own provider may add."""
    return {key: value for key, value in found.items() if value not in ("unknown", "HEAD")}


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what the plug-in has warned of since the test began."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("mlflow_dvc_plugin") and record.levelno >= logging.WARNING
    ]


def install_fresh(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give MLflow a provider that has seen and said nothing, and return it."""
    from mlflow.tracking.context import registry

    from mlflow_dvc_plugin.context import DvcRunContext

    fresh = DvcRunContext()
    providers = registry._run_context_provider_registry
    others = [one for one in providers if not isinstance(one, DvcRunContext)]
    monkeypatch.setattr(providers, "_registry", [*others, fresh])
    return fresh


def as_script(monkeypatch: pytest.MonkeyPatch, script: Path) -> None:
    """Make this process look as if it had been started as `python script`."""
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    monkeypatch.setattr(sys, "argv", [str(script)])


def git_program(monkeypatch: pytest.MonkeyPatch, folder: Path, before: str) -> Path:
    """Put a `git` on PATH that logs its arguments, does ``before`` and becomes the real one.

    Returns the log: one line a process.
    """
    folder.mkdir()
    log = folder / "log"
    log.touch()
    program = folder / "git"
    program.write_text(
        f'#!/bin/sh\necho "$*" >>"{log}"\n{before}\nexec {shutil.which("git")} "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return log


@contextmanager
def in_time(limit: float = 20.0) -> Iterator[None]:
    """Fail when the block takes longer, in seconds: the budget of 5 and a busy machine's pauses."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < limit


def let_go(fifo: Path) -> None:
    """Remove a FIFO and wake whoever waits for it."""
    handle = os.open(fifo, os.O_RDWR)
    fifo.unlink()
    time.sleep(0.05)
    os.close(handle)
