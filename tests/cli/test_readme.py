"""What the README says is there, works, and is complete."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import mlflow
import pytest
from conftest import CHECKOUT, Dvc, Git
from tagrules import ours

from mlflow_dvc_plugin import config, tags
from mlflow_dvc_plugin.cli import VERBS

README = (CHECKOUT / "README.md").read_text()
HOW = (CHECKOUT / "docs/how-it-works.md").read_text()


def blocks(language: str, text: str = README) -> list[str]:
    """Return the contents of the fenced code blocks in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


EXAMPLE = blocks("python")[0]
EXAMPLE_TAGS = dict(line.split(" = ", 1) for line in blocks("text")[0].splitlines())
FILTERS = blocks("text")[1].splitlines()
STEPS = blocks("sh")[1].splitlines()


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_in_the_readme(verb: str) -> None:
    assert f"| `mlflow-dvc {verb}" in README


def test_every_tag_is_in_the_table() -> None:
    fixed = {tags.COMMIT, tags.BRANCH, tags.REPO_URL, *tags.FIXED_KEYS}
    source = Path(tags.__file__).read_text()
    written = set(re.findall(r'"((?:mlflow\.source\.git|git|dvc)\.[\w.]+)"', source))
    for key in (fixed | written) - {"dvc."}:
        assert f"`{key}`" in README, key


def test_every_setting_and_switch_is_in_a_table() -> None:
    for name, variable in config.VARIABLES.items():
        assert f"| `{name}` | `{variable}` |" in README
    found: set[str] = set()
    for path in (CHECKOUT / "mlflow_dvc_plugin").rglob("*.py"):
        found.update(re.findall(r"\bMLFLOW_DVC_[A-Z]+(?:_[A-Z]+)*\b", path.read_text()))
    assert found <= set(re.findall(r"`(MLFLOW_DVC_[A-Z_]+)", README))


def test_the_default_settings_are_the_ones_in_the_table() -> None:
    settings = config.Settings()
    assert f"`MLFLOW_DVC_BUDGET` | `{settings.budget}` |" in README
    assert f"`MLFLOW_DVC_OUTPUT_TAGS` | `{settings.output_tags}` |" in README


def test_the_settings_example_is_valid(repo: Path) -> None:
    (repo / "pyproject.toml").write_text(blocks("toml")[0])
    settings, problems = config.read_settings(str(repo))
    assert problems == []
    assert (settings.budget, settings.inputs) == (10, ("data/*", "models/base.pt"))


@pytest.mark.parametrize("page", ["README.md", "docs/how-it-works.md", "CHANGELOG.md"])
def test_links_inside_the_project_lead_somewhere(page: str) -> None:
    text = (CHECKOUT / page).read_text()
    anchors = {"#" + line.lstrip("# ").lower().replace(" ", "-") for line in text.splitlines()
               if line.startswith("#")}  # fmt: skip
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        assert target in anchors or (CHECKOUT / page).parent.joinpath(target).exists(), target


def test_the_example_yields_the_tags_that_stand_below_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, git: Git, dvc: Dvc, tracking_sqlite: str
) -> None:
    """Follow "From an empty folder" to the letter; what differs are the commit and the tree."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "train.py").write_text(EXAMPLE)
    assert STEPS[-1] == "mlflow ui"
    for step in STEPS[:-1]:
        command = step.partition("#")[0]
        words = command.split()
        if words[0] == "dvc":
            dvc(*words[1:])
        else:
            command = command.replace("python", sys.executable)
            subprocess.run(["sh", "-ec", command], check=True, capture_output=True)
    (run,) = mlflow.search_runs(output_format="list")
    found = ours(run.data.tags)
    assert run.data.metrics == {"mean": 3.0}
    for key in ("mlflow.source.git.commit", "git.tree"):
        assert len(found.pop(key)) == len(EXAMPLE_TAGS[key])
    assert found == {key: value for key, value in EXAMPLE_TAGS.items() if key in found}
    assert found.keys() == EXAMPLE_TAGS.keys() - {"mlflow.source.git.commit", "git.tree"}


@pytest.mark.parametrize("where", FILTERS)
def test_every_filter_finds_the_run_and_no_other(tracking_sqlite: str, where: str) -> None:
    client = mlflow.MlflowClient()
    run_id = client.create_run("0", tags=EXAMPLE_TAGS).info.run_id
    client.log_metric(run_id, "mean", 3.0)
    other = {key: value[::-1] for key, value in EXAMPLE_TAGS.items()}
    client.create_run("0", tags={**other, "dvc.status": "modified"})
    found = mlflow.search_runs(["0"], filter_string=where, output_format="list")
    assert [run.info.run_id for run in found] == [run_id]


def test_the_how_it_works_page_names_the_models_that_the_code_knows() -> None:
    from mlflow_dvc_plugin.capture import inputs

    for pattern in (*inputs.MODEL_FILES, *inputs.MAYBE_MODEL_FILES):
        assert pattern in HOW
    for folder in (*inputs._MODEL_FOLDERS, *inputs._DATA_FOLDERS):
        assert f"`{folder}`" in HOW
