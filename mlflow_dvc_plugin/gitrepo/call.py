"""Start Git, in one way for everybody.

Processes are started with argument lists, ``--`` before paths, a time limit, machine formats and
one environment policy: variables that name another repository are removed (GitPython's ``execute``
can only add variables, which is why it is not used to start them), no lock is taken, nothing asks.
"""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import IO

from mlflow_dvc_plugin.errors import MlflowDvcError

# `git rev-parse --local-env-vars`, less what only carries configuration.
_OTHER_REPOSITORY = frozenset({
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_CONFIG", "GIT_DIR", "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_INTERNAL_SUPER_PREFIX", "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX", "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE", "GIT_WORK_TREE", "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS", "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS",
})  # fmt: skip
_OWN_SETTINGS = {
    "GIT_OPTIONAL_LOCKS": "0",  # status must not write the index: 640 runs ask at once
    "GIT_TERMINAL_PROMPT": "0",
    "LANGUAGE": "C",
    "LC_ALL": "C",
}

# What is not in the repository is not here: a partial clone must not go and ask for it.
OFFLINE = {"GIT_NO_LAZY_FETCH": "1"}
# The hooks of the user stay out of it; ours would place data that nobody asked for.
NO_HOOKS = ("-c", f"core.hooksPath={os.devnull}")
NO_OWN_HOOKS = {"MLFLOW_DVC_SKIP_HOOKS": "1", "_PRE_COMMIT_SKIP_POST_CHECKOUT": "1"}


class GitError(MlflowDvcError):
    """Git could not answer; ``code`` is its exit status, None when it did not run or finish."""

    def __init__(self, message: str, hint: str = "", code: int | None = None) -> None:
        super().__init__(message, hint)
        self.code = code


def call_git(
    root: str,
    *args: str,
    stdin: bytes = b"",
    timeout: float = 30.0,
    env: Mapping[str, str] | None = None,
) -> bytes:
    """Run ``git <args>`` in ``root`` and return its standard output.

    ``timeout`` is in seconds. ``env`` are further variables, such as the ``GIT_INDEX_FILE`` of the
    commit that a hook is asked about; by default no such variable is passed on. Raises GitError
    with Git's own first line and, where one is known, the command that mends it.
    """
    with start(root, args, env=env) as process:
        try:
            out, err = process.communicate(stdin, max(timeout, 0.001))
        except BaseException as error:
            end(process)
            if isinstance(error, subprocess.TimeoutExpired):
                text = f"git {_verb(args)} did not answer within {timeout:.1f} s"
                raise GitError(text) from error
            raise
    failed = process.returncode != 0
    if not failed and _exit_status_is_lost():
        failed = not out and err.startswith((b"fatal:", b"error:"))
    if failed:
        raise failure(args, process.returncode, err.decode("utf-8", "replace"), root)
    return out


def start(
    root: str,
    args: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stderr: int | IO[bytes] = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Start ``git <args>`` in ``root``, with pipes; raises GitError when there is no Git."""
    environ = {key: value for key, value in os.environ.items() if key not in _OTHER_REPOSITORY}
    environ.update(_OWN_SETTINGS)
    environ.update(env or {})
    try:
        return _Process(
            ["git", *args],
            cwd=root, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=stderr, start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )  # fmt: skip
    except OSError as error:
        raise GitError("the git program was not found", "install Git") from error


class _Process(subprocess.Popen[bytes]):
    """A process whose end is seen as it comes.

    With a time limit `subprocess` looks for the end again and again, a millisecond apart or more
    (``Popen._wait``): most of our questions to Git take no longer than that.
    """

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, at most ``timeout`` seconds; raises subprocess.TimeoutExpired."""
        if timeout is not None and self.returncode is None:
            until = time.monotonic() + timeout
            _sleep_until_ended(self.pid, timeout)
            timeout = max(0.0, until - time.monotonic())
        return super().wait(timeout)


def _sleep_until_ended(pid: int, timeout: float) -> None:
    """Return when the child has ended, when the seconds have passed, or where neither is told."""
    try:
        ended = select.poll()  # eventlet takes it away
        handle = os.pidfd_open(pid)
    except (AttributeError, OSError):  # Linux only; or somebody else has waited for it
        return
    try:
        ended.register(handle, select.POLLIN)
        ended.poll(max(0.0, timeout) * 1000)
    finally:
        os.close(handle)


def end(process: subprocess.Popen[bytes]) -> None:
    """End Git and the filters and hooks it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def call_git_z(
    root: str,
    *args: str,
    stdin: bytes = b"",
    timeout: float = 30.0,
    env: Mapping[str, str] | None = None,
) -> list[str]:
    """Run ``git <args>`` (with ``-z``) and return its NUL-separated values, as file names."""
    out = call_git(root, *args, stdin=stdin, timeout=timeout, env=env)
    return [os.fsdecode(part) for part in out.split(b"\0") if part]


def _exit_status_is_lost() -> bool:
    """Tell whether the process ignores SIGCHLD: every exit status then reads as 0."""
    child = getattr(signal, "SIGCHLD", None)
    return child is not None and signal.getsignal(child) is signal.SIG_IGN


def _verb(args: Sequence[str]) -> str:
    """Return Git's command among the arguments: ``-c name=value`` and other options precede it."""
    rest = list(args)
    while len(rest) > 1 and rest[0].startswith("-"):
        del rest[: 2 if rest[0] == "-c" else 1]
    return rest[0] if rest else ""


def failure(args: Sequence[str], code: int, stderr: str, root: str) -> GitError:
    """Return what to say of ``git <args>`` that failed; what it wrote is ``stderr``."""
    if "dubious ownership" in stderr:
        return GitError(
            f"Git does not read {root}: it belongs to another user",
            f"git config --global --add safe.directory {shlex.quote(root)}",
            code,
        )
    lines = [line for line in stderr.splitlines() if line.strip()] or ["no message"]
    return GitError(f"git {_verb(args)} failed ({code}): {lines[0]}", code=code)
