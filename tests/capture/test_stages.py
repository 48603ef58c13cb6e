"""Inside a DVC stage the input hashes are those of the bytes on disk now."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# Every stage writes down what a run started in it would carry. No line here knows Git or DVC.
SCRIPT = """\
import json, os, sys
from mlflow.tracking.context.registry import resolve_tags
name, sources, target = sys.argv[1], sys.argv[2:-1], sys.argv[-1]
with open(os.path.join(os.environ["SEEN"], name + ".json"), "w") as file:
    json.dump(resolve_tags(), file)
text = "".join(open(source).read() for source in sources)
open(target, "w").write(text.upper() if name != "train" else str(len(text)))
"""
PIPELINE = """\
stages:
  prepare:
    cmd: python step.py prepare data/raw.csv data/clean.csv
    deps: [step.py, data/raw.csv]
    outs: [data/clean.csv]
  split:
    cmd: python step.py split data/clean.csv data/half.csv
    deps: [step.py, data/clean.csv]
    outs: [data/half.csv]
  train:
    cmd: python step.py train data/half.csv data/images/cat.png metrics.json
    deps: [step.py, data/half.csv, data/images/cat.png]
    params: [size]
    metrics:
    - metrics.json:
        cache: false
"""
FOREACH = """\
stages:
  each:
    foreach: [a, b]
    do:
      wdir: sub
      cmd: python ../step.py each-${item} ../data/${item}.csv ${item}.out
      deps: [../step.py, "../data/${item}.csv"]
      outs: ["${item}.out"]
"""


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "seen").mkdir()
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"])
    return tmp_path / "seen"


@pytest.fixture(scope="session")
def ran_template(
    project_template: Path, tmp_path_factory: pytest.TempPathFactory, git: Any, dvc: Any
) -> Path:
    """Make a project with a pipeline, run it and commit the results."""
    folder = tmp_path_factory.mktemp("ran")
    shutil.copytree(project_template, folder, symlinks=True, dirs_exist_ok=True)
    (folder / "seen").mkdir()
    project = folder / "project"
    (project / "step.py").write_text(SCRIPT)
    (project / "dvc.yaml").write_text(PIPELINE)
    (project / "params.yaml").write_text("size: 1\n")
    (project / "data/raw.csv").write_text("raw\n")
    (project / "data/images/cat.png").write_text("a cat")
    dvc("add", "--quiet", "data/raw.csv", "data/images", cwd=project)
    git("add", "--all", cwd=project)
    git("commit", "--quiet", "--message", "pipeline", cwd=project)
    # `dvc exp` asks the repository who commits, and overlooks GIT_CONFIG_GLOBAL.
    git("config", "user.name", "Test", cwd=project)
    git("config", "user.email", "test@example.org", cwd=project)
    path = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]
    run_dvc("repro", "--quiet", cwd=project, SEEN=str(folder / "seen"), PATH=path)
    git("add", "--all", cwd=project)
    git("commit", "--quiet", "--message", "results", cwd=project)
    return folder


@pytest.fixture
def ran(ran_template: Path, seen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project whose pipeline has run once; ``seen`` has what its stages saw."""
    assert seen.is_dir()
    shutil.copytree(ran_template, tmp_path, symlinks=True, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def pipeline(ran: Path, git: Any) -> Path:
    """Return a project whose pipeline has not run yet."""
    git("reset", "--quiet", "--hard", "HEAD~1")
    git("clean", "--quiet", "-d", "--force", "-x", "--", "data/clean.csv", "data/half.csv")
    shutil.rmtree(ran / ".dvc/cache/runs")
    return ran


def run_dvc(*args: str, cwd: Path | None = None, **env: str) -> None:
    """Run DVC in a process of its own, as a person does."""
    command = [sys.executable, "-m", "dvc", *args]
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **env}, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def tags_of(seen: Path, name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((seen / f"{name}.json").read_text())
    return found


def manifest(seen: Path, name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads(tags_of(seen, name)["dvc.manifest"])
    return found


def test_a_changed_upstream_shows_in_every_stage_of_one_repro(
    ran: Path, seen: Path, git: Any, dvc: Any
) -> None:
    first = {name: manifest(seen, name) for name in ("prepare", "split", "train")}
    (ran / "data/raw.csv").write_text("raw, and more\n")
    dvc("commit", "--quiet", "--force", "data/raw.csv.dvc")
    git("commit", "--quiet", "--all", "--message", "new data")
    run_dvc("repro", "--quiet")
    assert manifest(seen, "prepare") == {"data/raw.csv": md5(ran / "data/raw.csv")}
    assert manifest(seen, "split") == {"data/clean.csv": md5(ran / "data/clean.csv")}
    assert manifest(seen, "train") == {
        "data/half.csv": md5(ran / "data/half.csv"),
        "data/images/cat.png": md5(ran / "data/images/cat.png"),
    }
    assert all(manifest(seen, name) != found for name, found in first.items())
    for name in first:
        tags = tags_of(seen, name)
        assert (tags["dvc.status"], tags["dvc.stage"]) == ("clean", name)
        assert tags["git.dirty"] == "false", "what DVC writes while it runs makes nothing dirty"
        assert "dvc.missing" not in tags
        assert "git.tree" not in tags or name == "prepare"


def test_the_gitignore_that_dvc_writes_makes_nothing_dirty(ran: Path, seen: Path) -> None:
    # DVC adds the outputs of `prepare` to the tracked data/.gitignore once it has run.
    assert "/clean.csv" in (ran / "data/.gitignore").read_text().split()
    assert tags_of(seen, "split")["git.dirty"] == "false"
    assert tags_of(seen, "train")["git.dirty"] == "false"


def test_a_stage_that_runs_with_code_that_is_not_committed_is_dirty(
    pipeline: Path, seen: Path
) -> None:
    (pipeline / "step.py").write_text(SCRIPT + "# changed\n")
    run_dvc("repro", "--quiet", "prepare")
    assert tags_of(seen, "prepare")["git.dirty"] == "true"


def test_the_data_that_a_stage_changed_is_modified_not_what_the_lock_says(
    ran: Path, seen: Path
) -> None:
    (ran / "data/half.csv").write_text("edited by hand\n")
    run_dvc("repro", "--quiet", "--single-item", "--force", "train")
    tags = tags_of(seen, "train")
    assert tags["dvc.status"] == "modified"
    assert manifest(seen, "train")["data/half.csv"] == md5(ran / "data/half.csv")
    assert json.loads(tags["dvc.changed"]) == ["data/half.csv"]


def test_foreach_stages_with_a_working_directory_know_their_own_input(
    repo: Path, seen: Path, git: Any, dvc: Any
) -> None:
    (repo / "step.py").write_text(SCRIPT)
    (repo / "dvc.yaml").write_text(FOREACH)
    (repo / "sub").mkdir()
    (repo / "sub/.keep").write_text("")
    for name in "ab":
        (repo / f"data/{name}.csv").write_text(name)
    dvc("add", "--quiet", "data/a.csv", "data/b.csv")
    git("add", "--all")
    git("commit", "--quiet", "--message", "foreach")
    run_dvc("repro", "--quiet")
    for name in "ab":
        assert manifest(seen, f"each-{name}") == {
            f"data/{name}.csv": md5(repo / f"data/{name}.csv")
        }
        assert tags_of(seen, f"each-{name}")["dvc.stage"] == f"each@{name}"


@pytest.mark.slow
@pytest.mark.parametrize("how", [(), ("--temp",), ("--queue",)], ids=["workspace", "temp", "queue"])
def test_an_experiment_carries_its_own_code_data_and_name(
    ran: Path, seen: Path, git: Any, dvc: Any, how: tuple[str, ...]
) -> None:
    head = git("rev-parse", "HEAD")
    shutil.rmtree(seen)
    seen.mkdir()
    # Changed in the workspace only: `--temp` and `--queue` take it along, and it is not in HEAD.
    (ran / "data/raw.csv").write_text("for the experiment\n")
    dvc("commit", "--quiet", "--force", "data/raw.csv.dvc")
    run_dvc("exp", "run", "--name", "try-1", "--set-param", "size=2", *how)
    if how == ("--queue",):
        run_dvc("queue", "start")
        run_dvc("queue", "logs", "try-1", "--follow")
    tags = tags_of(seen, "train")
    assert tags["dvc.exp"] == "try-1"
    assert tags["dvc.stage"] == "train"
    assert tags["mlflow.source.git.commit"] == head
    assert tags["git.dirty"] == "true", "params.yaml differs from HEAD"
    assert tags["dvc.status"] == "clean"
    raw = hashlib.md5(b"for the experiment\n").hexdigest()
    half = hashlib.md5(b"FOR THE EXPERIMENT\n").hexdigest()
    assert manifest(seen, "prepare") == {"data/raw.csv": raw}
    assert manifest(seen, "train")["data/half.csv"] == half


def test_a_stage_that_no_pipeline_here_has_is_unknown(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow_dvc_plugin.context import DvcRunContext

    monkeypatch.setenv("DVC_STAGE", "gone")
    tags = DvcRunContext().tags()
    assert tags["dvc.status"] == "unknown"
    assert "dvc.hash" not in tags
    assert tags["dvc.stage"] == "gone"
