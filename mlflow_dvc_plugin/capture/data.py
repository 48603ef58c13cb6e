"""The data of a run: choose the inputs, and look at every output on disk."""

from __future__ import annotations

from mlflow_dvc_plugin.capture.datarepo import DataRepo
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.capture.inputs import Rules, choose
from mlflow_dvc_plugin.capture.loaded import main_script
from mlflow_dvc_plugin.provenance import Data, OutputState, Stage

# Products only inform; they may not eat the time that the inputs need in the next run.
_PRODUCT_SHARE = 0.2
_NAMED = 3


def capture_data(repo: DataRepo, stage: Stage | None, rules: Rules) -> Data:
    """Describe the data of a run; ``stage`` is the one that DVC runs now.

    What is not known in time is ``unknown``, and named in the repository's ``warnings``.
    """
    found = repo.metadata
    choice = choose(found, stage, repo.below(main_script()), rules)
    chosen = {out.path for out in choice.inputs} | choice.own
    states = repo.disk.states(choice.inputs)
    states += [repo.disk.member(out, path) for out, path in choice.members]
    repo.disk.deadline = Deadline.sooner(repo.deadline, _PRODUCT_SHARE)
    others = repo.disk.states(out for out in found.outputs if out.path not in chosen)
    data = Data(
        toplevel=repo.toplevel,
        root=repo.root,
        inputs=tuple(state for state in states if state.status != "missing"),
        products=tuple(state for state in others if state.status != "missing"),
        missing=tuple(state for state in [*states, *others] if _should_be_there(state)),
        unread={**found.broken, **repo.unread},
        rev=repo.rev,
        remote=repo.config.remote,
    )
    repo.warnings += _warnings(data)
    return data


def _should_be_there(state: OutputState) -> bool:
    """Tell a missing output from one of a stage that never ran."""
    return state.status == "missing" and not (state.output.stage and state.output.hash is None)


def _warnings(data: Data) -> list[tuple[str, str]]:
    found = [
        (
            f"broken {path}",
            f"{path} cannot be read ({reason}): its data is unknown; run: mlflow-dvc status --hash",
        )
        for path, reason in data.unread.items()
    ]
    unknown = [state for state in data.inputs if state.status == "unknown"]
    if unknown:
        names = ", ".join(f"{state.path} ({state.reason})" for state in unknown[:_NAMED])
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        text = f"the state of {names}{more} is unknown; run: mlflow-dvc status --hash"
        found.append(("unknown data", text))
    return found
