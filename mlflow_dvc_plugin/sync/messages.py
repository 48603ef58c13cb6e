"""What a person reads when data does not follow: what it is, and the commands that mend it."""

from __future__ import annotations

import shlex

from mlflow_dvc_plugin.provenance import Output
from mlflow_dvc_plugin.sync.job import Stays
from mlflow_dvc_plugin.sync.ledger import Problem
from mlflow_dvc_plugin.sync.running import User


def stays(out: Output, error: Stays) -> Problem:
    """Return the message for an output that is not what its metadata states."""
    path = shlex.quote(out.path)
    if error.hint:
        return Problem(out.path, f"{out.path} is not in sync: {error}", error.hint)
    if error.pull:
        return Problem(out.path, f"{out.path} is not in sync: {error}", f"dvc pull {path}")
    if error.unsaved:
        keep = f"dvc commit {shlex.quote(out.source)}" if out.stage else f"dvc add {path}"
        hint = f"keep what is there: {keep}; drop it: dvc checkout --force {path}"
        return Problem(out.path, f"{out.path} stays as it is: {error}", hint)
    return Problem(out.path, f"{out.path} is not in sync: {error}", "mlflow-dvc sync")


def left_behind(path: str, why: str) -> Problem:
    """Return the message for data whose metadata has vanished, and which is still there."""
    text = f"{path} has no metadata here any more, and stays: {why}"
    place = shlex.quote(path)
    hint = f"keep it: move it elsewhere, or dvc add {place}; drop it: rm -r {place}"
    return Problem(path, text, hint)


def only_copy(path: str) -> Problem:
    """Return the message for a file that a sync had moved aside when it was killed."""
    text = f"{path} holds bytes that are nowhere else: a sync was killed while they were replaced"
    return Problem(
        path, text, f"keep them: move the file elsewhere; drop them: rm {shlex.quote(path)}"
    )


def broken(path: str, reason: str) -> Problem:
    """Return the message for metadata that cannot be read."""
    return Problem(path, f"{path} cannot be read ({reason}): its data stays as it is",
                   f"mend {shlex.quote(path)}, then: mlflow-dvc sync")  # fmt: skip


def homeless(path: str) -> Problem:
    """Return the message for metadata without the DVC repository that it belongs to."""
    text = f"{path} belongs to no DVC repository (no .dvc/config here): its data stays as it is"
    return Problem(path, text, "git checkout COMMIT -- .dvc (from a commit that has it)")


def busy(path: str, user: User) -> Problem:
    """Return the message for data that a running job uses."""
    text = f"{path} is left alone: {user.what} uses it"
    return Problem(path, text, "when that has ended: mlflow-dvc sync")


def in_use(user: User) -> str:
    """Return the warning for a user of the data that may sit there for days."""
    return f"{user.what} uses data that has changed below it"
