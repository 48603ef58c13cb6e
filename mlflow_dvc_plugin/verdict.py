"""What would keep a run from being brought back? Sentences for a person."""

from __future__ import annotations

from mlflow_dvc_plugin.provenance import Provenance

_NAMED = 5


def obstacles(provenance: Provenance) -> list[str]:
    """Return one sentence for each thing that stands against it; empty when all is well."""
    found = []
    code = provenance.code
    if code is not None:
        if code.commit is None:
            found.append("the code is in no commit")
        if code.dirty:
            found.append(f"the code differs from HEAD: {_some(code.dirty_paths)}")
        elif code.dirty is None:
            found.append("whether the code differs from HEAD is unknown")
    data = provenance.data
    if data is not None:
        found += [f"{state.path} is {state.status}: {state.reason}" for state in data.inputs
                  if state.status != "clean"]  # fmt: skip
        found += [f"{path} cannot be read: {reason}" for path, reason in data.unread.items()]
    return found


def _some(paths: tuple[str, ...]) -> str:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more
