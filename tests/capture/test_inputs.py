"""Which outputs count as input data: the rules of the tag contract."""

from __future__ import annotations

import pytest

from mlflow_dvc_plugin.capture.inputs import Rules, choose, find_stage, is_model, matches
from mlflow_dvc_plugin.provenance import Metadata, Output, Stage


def out(path: str, **fields: object) -> Output:
    return Output(path, "0" * 32, fields.pop("source", path + ".dvc"), **fields)  # type: ignore[arg-type]


def paths(metadata: Metadata, stage: Stage | None = None, script: str | None = None,
          rules: Rules | None = None) -> list[str]:  # fmt: skip
    choice = choose(metadata, stage, script, rules or Rules())
    return sorted([o.path for o in choice.inputs] + [path for _, path in choice.members])


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("net.onnx", True), ("out/net.CKPT", True), ("a.keras", True), ("a.safetensors", True),
        ("weights.pt", False), ("best_model.pt", True), ("models/w.pt", True), ("Model/w.h5", True),
        ("checkpoints/epoch1/w.pth", True), ("checkpoint/x.joblib", True), ("m.pkl", False),
        ("data/model.pkl", False), ("data/raw/net.onnx", False), ("datasets/x_model.h5", False),
        ("features/models/m.pkl", False), ("inputs/net.ckpt", False),
        ("processed/model.joblib", False),
        ("models", False), ("data.csv", False), ("model.csv", False), ("database/model.pkl", True),
    ],
)  # fmt: skip
def test_a_model_is_told_by_its_name(path: str, expected: bool) -> None:
    assert is_model(path) is expected


def test_products_of_training_are_no_inputs() -> None:
    metadata = Metadata(
        outputs=(
            out("data/train.csv"), out("metrics.json", metric=True), out("roc.csv", plot=True),
            out("enc.bin", type="model"), out("artifact.bin"), out("best_model.pkl"),
            out("data/frames.pkl"),
        ),
        artifacts={"artifact.bin": "model", "data/train.csv": "dataset"},
    )  # fmt: skip
    assert paths(metadata) == ["data/frames.pkl", "data/train.csv"]


def test_the_settings_decide_instead_of_the_default() -> None:
    metadata = Metadata((out("base/net.onnx"), out("data/a.csv"), out("data/b/c.csv"), out("x.w")))
    assert paths(metadata, rules=Rules(inputs=("base/*", "data/b"))) == [
        "base/net.onnx", "data/b/c.csv",
    ]  # fmt: skip
    assert paths(metadata, rules=Rules(models=("*.w",))) == [
        "base/net.onnx", "data/a.csv", "data/b/c.csv",
    ]  # fmt: skip


PREPARE = Stage("prepare", "dvc.yaml", "", ("raw.csv", "prepare.py"), ("clean.csv",))
TRAIN = Stage("train", "dvc.yaml", "", ("clean.csv", "train.py"), ("model.bin", "scores"))
REPORT = Stage("report", "dvc.yaml", "", ("scores/a.json", "report.py"), ("report.html",))
PIPELINE = Metadata(
    outputs=(
        out("raw.csv"), out("other.csv"), out("clean.csv", stage="prepare", source="dvc.yaml"),
        out("model.bin", stage="train", source="dvc.yaml"),
        out("scores", stage="train", source="dvc.yaml", isdir=True),
        out("report.html", stage="report", source="dvc.yaml"),
    ),
    stages=(PREPARE, TRAIN, REPORT),
)  # fmt: skip


def test_inside_a_stage_its_tracked_dependencies_are_the_inputs() -> None:
    assert paths(PIPELINE, TRAIN) == ["clean.csv"]
    assert paths(PIPELINE, PREPARE) == ["raw.csv"]
    assert choose(PIPELINE, TRAIN, None, Rules()).own == {"model.bin", "scores"}


def test_a_member_of_a_tracked_directory_is_an_input_of_its_own() -> None:
    assert paths(PIPELINE, REPORT) == ["scores/a.json"]


def test_a_dependency_on_a_folder_of_outputs_is_one_on_each() -> None:
    stage = Stage("t", "dvc.yaml", "", ("data",), ("m",))
    metadata = Metadata((out("data/a"), out("data/b/c"), out("data2")), (stage,))
    assert paths(metadata, stage) == ["data/a", "data/b/c"]


def test_a_stage_without_tracked_dependencies_reads_everything_but_its_own_and_what_follows() -> (
    None
):
    stage = Stage("train", "dvc.yaml", "", ("train.py",), ("model.bin", "scores"))
    metadata = Metadata(PIPELINE.outputs, (PREPARE, stage, REPORT))
    assert paths(metadata, stage) == ["clean.csv", "other.csv", "raw.csv"]


def test_the_script_of_exactly_one_stage_stands_for_it_outside_a_stage() -> None:
    assert paths(PIPELINE, None, "train.py") == ["clean.csv"]
    assert choose(PIPELINE, None, "train.py", Rules()).own == frozenset()
    twice = Metadata(
        PIPELINE.outputs, (*PIPELINE.stages, Stage("x", "dvc.yaml", "", ("train.py",)))
    )
    everything = ["clean.csv", "model.bin", "other.csv", "raw.csv", "report.html", "scores"]
    assert paths(twice, None, "train.py") == everything
    assert paths(PIPELINE, None, "elsewhere.py") == everything


@pytest.mark.parametrize(
    ("address", "started", "expected"),
    [
        ("train", "", "dvc.yaml:train"),
        ("train", "sub", "sub/dvc.yaml:train"),
        ("sub/dvc.yaml:train", "", "sub/dvc.yaml:train"),
        ("../dvc.yaml:train", "sub", "dvc.yaml:train"),
        ("train", "elsewhere", None),
        ("train", None, None),
        ("sub/dvc.yaml:train", None, "sub/dvc.yaml:train"),
        ("only", None, "sub/dvc.yaml:only"),
        ("gone", "", None),
        ("each@a:b", None, "dvc.yaml:each@a:b"),
    ],
)
def test_the_running_stage_is_found_by_its_address(
    address: str, started: str | None, expected: str | None
) -> None:
    stages = [
        Stage("train", "dvc.yaml", ""), Stage("train", "sub/dvc.yaml", "sub"),
        Stage("only", "sub/dvc.yaml", "sub"), Stage("each@a:b", "dvc.yaml", ""),
    ]  # fmt: skip
    found = find_stage(stages, address, started)
    assert (found.address if found else None) == expected


def test_patterns_match_a_name_a_path_or_a_folder_above() -> None:
    assert matches("a/b/c.csv", ["*.csv"])
    assert matches("a/b/c.csv", ["a/b"])
    assert matches("a/b/c.csv", ["a/*.csv"])
    assert not matches("a/b/c.csv", ["b"])
    assert not matches("a/b/c.csv", [])
