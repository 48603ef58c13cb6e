"""Settings, from the file and the environment; a wrong one is said and not used."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlflow_dvc_plugin.config import ALLOWED, VARIABLES, Settings, read_settings, settings_identity


def write(folder: Path, table: str) -> str:
    (folder / "pyproject.toml").write_text(f"[tool.mlflow-dvc]\n{table}\n")
    return str(folder)


def test_without_settings_the_defaults_hold(tmp_path: Path) -> None:
    assert read_settings(str(tmp_path)) == (Settings(), [])
    assert read_settings(None) == (Settings(), [])
    (tmp_path / "pyproject.toml").write_text("[tool.other]\nx = 1\n")
    assert read_settings(str(tmp_path)) == (Settings(), [])


def test_every_setting_is_read_and_its_variable_is_stronger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = 'budget = 2\ninputs = ["a", "b/*"]\nmodels = []\noutput_tags = 3'
    assert read_settings(write(tmp_path, table)) == (Settings(2, ("a", "b/*"), (), 3), [])
    for name, value in {
        "budget": "0.5",
        "inputs": "c, d",
        "models": "*.w",
        "output_tags": "0",
    }.items():
        monkeypatch.setenv(VARIABLES[name], value)
    assert read_settings(str(tmp_path)) == (Settings(0.5, ("c", "d"), ("*.w",), 0), [])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("budget", '"soon"'), ("budget", "0"), ("budget", "true"), ("budget", "nan"),
        ("budget", "4000"), ("inputs", "5"), ("inputs", "[1]"), ("models", "{a = 1}"),
        ("output_tags", "21"), ("output_tags", "-1"), ("output_tags", "1.5"),
        ("output_tags", "true"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_said_with_what_is_allowed(
    tmp_path: Path, name: str, value: str
) -> None:
    settings, (problem,) = read_settings(write(tmp_path, f"{name} = {value}"))
    assert settings == Settings()
    assert name in problem
    assert ALLOWED[name] in problem


def test_a_wrong_variable_leaves_the_value_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DVC_BUDGET", "9" * 5000)
    monkeypatch.setenv("MLFLOW_DVC_OUTPUT_TAGS", "9" * 5000)
    settings, problems = read_settings(write(tmp_path, "budget = 2"))
    assert settings == Settings(budget=2)
    assert len(problems) == 2


def test_an_unknown_setting_is_said(tmp_path: Path) -> None:
    settings, (problem,) = read_settings(write(tmp_path, "budgets = 2"))
    assert settings == Settings()
    assert "budgets is not a setting" in problem


@pytest.mark.parametrize(
    "content", [b"[tool.mlflow-dvc", b"\xff mlflow-dvc", b"tool = 1 # mlflow-dvc",
                b"[tool]\nmlflow-dvc = 5"],
)  # fmt: skip
def test_a_broken_file_is_said_and_stops_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pyproject.toml").write_bytes(content)
    settings, (problem,) = read_settings(str(tmp_path))
    assert settings == Settings()
    assert "default" in problem


def test_settings_are_read_again_when_they_may_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = [settings_identity(str(tmp_path))]
    write(tmp_path, "budget = 2")
    seen.append(settings_identity(str(tmp_path)))
    monkeypatch.setenv("MLFLOW_DVC_BUDGET", "1")
    seen.append(settings_identity(str(tmp_path)))
    assert len(set(seen)) == 3
    assert settings_identity(str(tmp_path)) == seen[-1]
