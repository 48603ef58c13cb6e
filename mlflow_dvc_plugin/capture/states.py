"""The state of an output, from what was found on disk."""

from __future__ import annotations

from mlflow_dvc_plugin.capture.deadline import OutOfTimeError
from mlflow_dvc_plugin.provenance import WORST_FIRST, Output, OutputState


def note(states: dict[str, OutputState], state: OutputState) -> None:
    """Keep the state; of two metadata files that state one path the worse."""
    order = (*WORST_FIRST, "missing")
    other = states.get(state.path)
    if other is None or order.index(state.status) < order.index(other.status):
        states[state.path] = state


def compared(output: Output, actual: str) -> OutputState:
    """Return the state of an output whose bytes have this hash."""
    if actual == output.hash:
        return OutputState(output, "clean", actual)
    reason = "differs from its metadata" if output.hash else "no hash in its metadata"
    return OutputState(output, "modified", actual, reason)


def unknown(output: Output, error: Exception) -> OutputState:
    """Return the state of an output that could not be looked at."""
    if isinstance(error, OutOfTimeError):
        reason = "not hashed within the budget"
    else:
        reason = " ".join(str(error).split())[:200]
    return OutputState(output, "unknown", reason=reason)
