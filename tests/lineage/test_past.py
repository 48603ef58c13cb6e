"""Which data an old run used, where its commit alone leaves that open."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Dvc, Git

from lineage.backfilling import UNSEEN, filled, old_run, ours, run
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.past import Script, data_root, find_script
from mlflow_dvc_plugin.lineage.revision import Revisions
from mlflow_dvc_plugin.lineage.store import experiment_ids, open_client, search

STAGE = """\
stages:
  train:
    cmd: python train.py
    deps: [train.py, data/images/cat.png]
    outs: [model.bin]
"""


def commit_all(git: Git, message: str = "c") -> str:
    git("add", "-A")
    git("commit", "-qm", message)
    return git("rev-parse", "HEAD")


def live_tags(folder: Path, script: str) -> dict[str, str]:
    """Run the script with the plugin; return the tags of its run."""
    client = open_client()
    before = {one.run_id for one in search(client, experiment_ids(client))}
    subprocess.run([sys.executable, script], cwd=folder, check=True, capture_output=True)
    (new,) = [one for one in search(client, experiment_ids(client)) if one.run_id not in before]
    assert new.tags["mlflow.source.name"] == script
    return ours(new)


def test_the_script_narrows_the_data_to_that_of_its_stage(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    (repo / "dvc.yaml").write_text(STAGE)
    commit = commit_all(git)
    live = live_tags(repo, "train.py")
    old, other = old_run(commit, "train.py"), old_run(commit, "ipykernel_launcher.py")
    filled()
    tags = ours(run(old))
    assert json.loads(tags["dvc.manifest"]).keys() == {"data/images/cat.png"}
    for key in tags.keys() - {"dvc.source"}:
        assert tags[key] == live[key], key
    assert json.loads(ours(run(other))["dvc.manifest"]).keys() == {"data/images", "data/train.csv"}


def test_a_part_of_a_directory_has_a_hash_where_the_cache_holds_the_listing(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    (repo / "dvc.yaml").write_text(STAGE)
    commit = commit_all(git)
    shutil.rmtree(repo / ".dvc/cache")
    old = old_run(commit, "train.py")
    filled()
    tags = ours(run(old))
    assert not {"dvc.hash", "dvc.manifest", "dvc.status", "dvc.changed"} & tags.keys()
    assert json.loads(tags["dvc.products"]).keys() == {"data/images", "data/train.csv"}


def test_models_are_products_and_the_settings_of_the_commit_decide(
    repo: Path, git: Git, dvc: Dvc, tracking_sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo / "models").mkdir()
    (repo / "models/m.pkl").write_text("weights")
    dvc("add", "-q", "models/m.pkl")
    plain = commit_all(git)
    (repo / "pyproject.toml").write_text('[tool.mlflow-dvc]\ninputs = ["models/*"]\n')
    set_up = commit_all(git)
    (repo / "pyproject.toml").write_text('[tool.mlflow-dvc]\ninputs = ["*.csv"]\noutput_tags = 0\n')
    commits = (plain, set_up)
    runs = [old_run(commit) for commit in commits]
    filled()
    first, second = (ours(run(one)) for one in runs)
    assert json.loads(first["dvc.manifest"]).keys() == {"data/train.csv"}  # today's
    assert json.loads(first["dvc.products"]).keys() == {"data/images", "models/m.pkl"}
    assert "dvc.data.train.csv" not in first
    assert json.loads(second["dvc.manifest"]).keys() == {"models/m.pkl"}
    assert second["dvc.models.m.pkl"] == json.loads(second["dvc.manifest"])["models/m.pkl"]


def test_of_several_dvc_repositories_it_is_the_one_the_script_was_started_in(
    repo: Path, git: Git, dvc: Dvc, tracking_sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (repo / name / "src").mkdir(parents=True)
        dvc("init", "-q", "--subdir", cwd=repo / name)
        (repo / name / "x.csv").write_text(name)
        dvc("add", "-q", "x.csv", cwd=repo / name)
        shutil.copy(repo / "train.py", repo / name / "src" / f"train_{name}.py")
    commit = commit_all(git)
    live = live_tags(repo / "a", "src/train_a.py")
    inside, above = old_run(commit, "src/train_a.py"), old_run(commit, "b/src/train_b.py")
    unknown = old_run(commit, "ipykernel_launcher.py")
    found = filled()
    assert found.several == {commit: 1} and not found.complete
    tags = ours(run(inside))
    assert tags.keys() == live.keys() - UNSEEN - {"dvc.remote"} | {"dvc.source"}
    assert tags["dvc.hash"] == live["dvc.hash"]
    assert json.loads(ours(run(above))["dvc.manifest"]).keys() == {"data/images", "data/train.csv"}
    assert ours(run(unknown)) == {}
    monkeypatch.setenv("MLFLOW_DVC_REPO", str(repo / "b"))
    assert filled().written == 1
    assert json.loads(ours(run(unknown))["dvc.manifest"]).keys() == {"b/x.csv"}
    monkeypatch.setenv("MLFLOW_DVC_REPO", "nowhere")
    with pytest.raises(MlflowDvcError, match="MLFLOW_DVC_REPO"):
        filled()


@pytest.mark.parametrize(
    ("source", "path", "folder"),
    [
        ("only.py", "src/only.py", "src"),
        ("src/only.py", "src/only.py", ""),
        ("./src/../src/only.py", "src/only.py", ""),
        ("twice.py", None, None),
        ("a/twice.py", "a/twice.py", ""),
        ("/home/somebody/project/src/only.py", "src/only.py", None),
        ("/home/somebody/a/twice.py", None, None),
        ("../only.py", None, None),
        ("nly.py", None, None),
        ("link.py", None, None),
        ("", None, None),
        ("/", None, None),
        ("..", None, None),
        ("src", None, None),
        ("x\0y", None, None),
    ],
)
def test_a_script_is_the_one_file_that_its_name_fits(
    repo: Path, git: Git, source: str, path: str | None, folder: str | None
) -> None:
    for name in ("src/only.py", "a/twice.py", "twice.py"):
        (repo / name).parent.mkdir(exist_ok=True)
        (repo / name).write_text("")
    os.symlink("twice.py", repo / "link.py")
    commit_all(git)
    revisions = Revisions(str(repo))
    tree = git("rev-parse", "HEAD^{tree}")
    revisions.prefetch([git("rev-parse", "HEAD")])
    assert find_script(revisions, tree, source, str(repo)) == Script(path, folder)
    here = str(repo / "twice.py")
    assert find_script(revisions, tree, here, str(repo)) == Script("twice.py")


def test_the_dvc_repository_is_found_as_the_provider_finds_it() -> None:
    known = Script("a/b/x.py", "a/b")
    assert data_root([], known, None) is None
    assert data_root(["", "a"], known, None) == "a"
    assert data_root(["", "c"], known, None) == ""
    assert data_root(["c"], known, None) == "c"
    assert data_root(["", "a"], known, "") == ""
    for roots in (["c", "d"], ["", "a"]):
        script = known if "" not in roots else Script()
        with pytest.raises(MlflowDvcError, match="several DVC repositories"):
            data_root(roots, script, None)
