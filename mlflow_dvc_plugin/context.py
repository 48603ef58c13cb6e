"""MLflow's entry point: every new run carries its Git commit and its DVC data hashes.

MLflow loads and instantiates the class while it is itself half imported, also in its server and in
every command: only the standard library and the abstract class may be imported, and nothing may be
done. ``tags()`` is called by ``start_run``, by ``log_model``, for datasets and by autolog,
from several threads at once, and an exception or a slow answer would cost somebody a training run.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

    from mlflow_dvc_plugin.answer import Process
    from mlflow_dvc_plugin.provenance import Provenance

_GIT_KEYS = {
    "mlflow.source.git.commit": "unknown",
    "mlflow.source.git.branch": "HEAD",  # what `git rev-parse --abbrev-ref` says when detached
    "mlflow.source.git.repoURL": "unknown",
}


class _Provider:
    """Tag runs with the state of the code and the data they start from."""

    def __init__(self) -> None:
        self._processes: dict[int, Process] = {}
        self._failed = False

    def in_context(self) -> bool:
        """Tell whether the plugin is switched on."""
        return os.environ.get("MLFLOW_DVC_DISABLE", "").strip().lower() in ("", "0", "false", "no")

    def tags(self) -> dict[str, str]:
        """Return the tags of the contract; never raises, whatever the repository looks like.

        Only ``MLFLOW_DVC_STRICT=1`` makes it stop a run, at its start, with a BaseException that
        MLflow lets through.
        """
        starting, by_user = _called_by_start_run()
        try:
            process = self._process()
            found, provenance = process.answer(starting)
            tags = _beside_mlflow(found, provenance)
        except Exception:  # noqa: BLE001 - the provider's boundary: a run must start
            self._say_fault()
            return {}
        # After the lock is released: a handler of the log may start a run itself, or raise.
        with suppress(Exception):
            for reason, text in provenance.warnings:
                process.say(reason, text)
        if by_user:
            _refuse_if_strict(provenance)
        return tags

    def _say_fault(self) -> None:
        with suppress(Exception):  # a log that was closed
            logging.getLogger("mlflow_dvc_plugin").log(
                logging.DEBUG if self._failed else logging.WARNING,
                "mlflow-dvc: no tags are set because of a fault in mlflow-dvc-plugin",
                exc_info=True,
            )
        self._failed = True

    def _process(self) -> Process:
        """Return what belongs to this process: a lock or a thread means nothing after a fork."""
        if os.getpid() not in self._processes:
            with self._importing:
                from mlflow_dvc_plugin.answer import Process

            self._processes.setdefault(os.getpid(), Process())
        return self._processes[os.getpid()]

    @cached_property
    def _importing(self) -> threading.RLock:
        """Return a lock that a fork waits for.

        A child born while another thread imports inherits locks that nobody will ever release.
        """
        lock = threading.RLock()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
            )
        return lock


def _called_by_start_run() -> tuple[bool, bool]:
    """Tell whether a run is being started, and whether a person's own code does it.

    ``log_model``, metrics without a run and autolog start runs too, from inside MLflow, and ask
    for context tags at the end of a training as well: those are never stopped.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if (
            frame.f_code.co_name == "start_run"
            and frame.f_globals.get("__name__") == "mlflow.tracking.fluent"
        ):
            caller = frame.f_back
            name = caller.f_globals.get("__name__", "") if caller else ""
            return True, not (name == "mlflow" or name.startswith("mlflow."))
        frame = frame.f_back
    return False, False


def _refuse_if_strict(provenance: Provenance) -> None:
    from mlflow_dvc_plugin.config import flag
    from mlflow_dvc_plugin.errors import NotReproducible
    from mlflow_dvc_plugin.verdict import obstacles

    if flag("MLFLOW_DVC_STRICT"):
        found = obstacles(provenance)
        if found:
            raise NotReproducible(found)


def _beside_mlflow(tags: dict[str, str], provenance: Provenance) -> dict[str, str]:
    """Fit the tags to what MLflow's own providers say of the same run.

    A plugin overrides MLFLOW_RUN_CONTEXT, so the keys a person named there are left alone. And
    MLflow's Git provider answers from a cache it filled at the first run of the process: a key of
    its that is not so any more (a branch, when HEAD is detached now) has to be overwritten, for it
    cannot be removed. Of a capture that did not end nothing follows for it.
    """
    ended = provenance.code is None or bool(provenance.code.toplevel)
    if tags and ended:
        from mlflow.tracking.context.git_context import GitRunContext
        from mlflow.tracking.context.registry import _run_context_provider_registry as registry

        for provider in registry:
            if isinstance(provider, GitRunContext) and provider.in_context():
                for key in provider.tags():
                    tags.setdefault(key, _GIT_KEYS.get(key, "unknown"))
    try:
        named = json.loads(os.environ.get("MLFLOW_RUN_CONTEXT") or "{}")
    except ValueError:
        named = {}
    if not isinstance(named, dict):
        return tags
    return {key: value for key, value in tags.items() if key not in named}


def __getattr__(name: str) -> type:
    """Make the class when it is asked for.

    Whoever imports this module before MLflow imports MLflow by asking for the base class, which
    asks for the class in turn: a class statement could not answer that.
    """
    if name != "DvcRunContext":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mlflow.tracking.context.abstract_context import RunContextProvider

    if "DvcRunContext" not in globals():
        body = {"__doc__": _Provider.__doc__, "__module__": __name__}
        globals()[name] = type(name, (_Provider, RunContextProvider), body)
    made: type = globals()[name]
    return made


if TYPE_CHECKING:

    class DvcRunContext(_Provider):
        """The class that MLflow is given."""
