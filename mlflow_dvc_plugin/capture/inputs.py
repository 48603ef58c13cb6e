"""The tracked outputs that are the data a run reads: the tag contract's rules, without I/O."""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mlflow_dvc_plugin.provenance import Metadata, Output, Stage

# A model by its name. People track models with plain `.dvc` files too: were those inputs, no two
# runs would ever have the same data.
MODEL_FILES = ("*.ckpt", "*.keras", "*.onnx", "*.safetensors")
MAYBE_MODEL_FILES = ("*.pt", "*.pth", "*.pkl", "*.joblib", "*.h5")
_MODEL_FOLDERS = frozenset({"model", "models", "checkpoint", "checkpoints"})
_DATA_FOLDERS = frozenset(
    {"data", "dataset", "datasets", "input", "inputs", "raw", "processed", "features"}
)


class Rules(NamedTuple):
    """The settings that decide: patterns of outputs that are inputs, and of models; None: default.

    A pattern without ``/`` is matched to the last part of a path, any other to the whole path or
    a folder above it; ``*`` also crosses ``/``.
    """

    inputs: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None


class Choice(NamedTuple):
    """``inputs`` in full; ``members`` are (output, path inside it); ``own`` are about to change."""

    inputs: tuple[Output, ...]
    members: tuple[tuple[Output, str], ...] = ()
    own: frozenset[str] = frozenset()


def choose(metadata: Metadata, running: Stage | None, script: str | None, rules: Rules) -> Choice:
    """Return the outputs that count as input data.

    ``running`` is the DVC stage that this process runs in. Outside one, ``script``, the main
    script relative to the toplevel, stands for the stage that depends on it, if there is just one.
    """
    stage = running or _stage_of(metadata.stages, script)
    if stage is None:
        return Choice(tuple(out for out in metadata.outputs if _is_input(out, metadata, rules)))
    own = frozenset(stage.outs)
    candidates = [out for out in metadata.outputs if out.path not in own]
    inputs, members = _dependencies(stage, candidates)
    if not inputs and not members:
        later = _downstream(stage, metadata.stages)
        inputs = [out for out in candidates if out.path not in later]
    return Choice(tuple(inputs), tuple(members), own if running else frozenset())


def find_stage(stages: Iterable[Stage], address: str, started: str | None) -> Stage | None:
    """Return the stage that DVC runs, named by ``DVC_STAGE``; None when it cannot be told.

    The address is relative to ``started``, the folder DVC was started in, itself relative to the
    toplevel. Where that is not known (None), a stage is only told by an address that fits no other.
    """
    found = [stage for stage in stages if _addressed(stage, address)]
    if len(found) > 1 and started is not None:
        found = [stage for stage in found if _source(stage, address, started) == stage.source]
    return found[0] if len(found) == 1 else None


def _addressed(stage: Stage, address: str) -> bool:
    """Tell whether an address, seen from some folder, may mean the stage.

    The name of a ``foreach`` stage may hold a colon too.
    """
    if address == stage.name:
        file = "dvc.yaml"
    elif address.endswith(":" + stage.name):
        file = posixpath.normpath(address[: -len(stage.name) - 1])
    else:
        return False
    tail = [part for part in file.split("/") if part != ".."]
    return stage.source.split("/")[-len(tail) :] == tail


def _source(stage: Stage, address: str, started: str) -> str:
    file = address[: -len(stage.name) - 1] if address != stage.name else "dvc.yaml"
    return posixpath.normpath(posixpath.join(started, file))


def is_model(path: str, patterns: Sequence[str] | None = None) -> bool:
    """Tell whether the file is a trained model by its name."""
    if patterns is not None:
        return matches(path, patterns)
    folders = {part.lower() for part in path.split("/")[:-1]}
    name = path.rsplit("/", 1)[-1].lower()
    if folders & _DATA_FOLDERS:
        return False
    if matches(name, MODEL_FILES):
        return True
    return matches(name, MAYBE_MODEL_FILES) and ("model" in name or bool(folders & _MODEL_FOLDERS))


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Tell whether a pattern matches the path, its last part, or a folder above it."""
    name = path.rsplit("/", 1)[-1]
    for pattern in (given.strip("/") or given for given in patterns):
        subject = path if "/" in pattern else name
        if fnmatch.fnmatchcase(subject, pattern) or fnmatch.fnmatchcase(path, pattern + "/*"):
            return True
    return False


def _is_input(out: Output, metadata: Metadata, rules: Rules) -> bool:
    if rules.inputs is not None:
        return matches(out.path, rules.inputs)
    if out.metric or out.plot or out.type == "model":
        return False
    if metadata.artifacts.get(out.path) == "model":
        return False
    return not is_model(out.path, rules.models)


def _stage_of(stages: Iterable[Stage], script: str | None) -> Stage | None:
    found = [stage for stage in stages if script is not None and script in stage.deps]
    return found[0] if len(found) == 1 else None


def _dependencies(
    stage: Stage, outputs: Iterable[Output]
) -> tuple[list[Output], list[tuple[Output, str]]]:
    """Split the stage's dependencies into tracked outputs and members of tracked directories.

    A dependency on a folder that holds tracked outputs is one on each of them.
    """
    deps = set(stage.deps)
    inputs = []
    members = []
    for out in outputs:
        if out.path in deps or any(_below(out.path, dep) for dep in deps):
            inputs.append(out)
        else:
            members += [(out, dep) for dep in sorted(deps) if _below(dep, out.path)]
    return inputs, members


def _below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")


def _downstream(stage: Stage, stages: Sequence[Stage]) -> set[str]:
    """Return the outputs of every stage that depends on this one, directly or not."""
    found: set[str] = set()
    todo = [stage]
    seen = {stage.address}
    while todo:
        outs = todo.pop().outs
        for other in stages:
            if other.address not in seen and any(
                dep == out or _below(dep, out) or _below(out, dep)
                for dep in other.deps
                for out in outs
            ):
                seen.add(other.address)
                found.update(other.outs)
                todo.append(other)
    return found
