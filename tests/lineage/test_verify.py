"""A run is reproducible when all of its code and data is on remotes, and not a moment before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Git

from lineage.making import made
from lineage.verifying import Verify, object_in
from mlflow_dvc_plugin.cli import main
from mlflow_dvc_plugin.lineage.store import open_client


def test_a_run_that_is_only_on_this_machine_says_so_until_it_is_pushed(
    repo: Path, verify: Verify, git: Git, tracking_sqlite: str
) -> None:
    run = made()
    assert verify(run.run_id) == (0, "only here", "there is no Git remote")
    assert verify(run.run_id, "--require", "reproducible")[0] == 1
    git("init", "-q", "--bare", "../origin.git")
    git("remote", "add", "origin", "../origin.git")
    assert verify(run.run_id) == (0, "only here", "it is on no Git remote")
    git("push", "-q", "origin", "main")
    assert verify(run.run_id, "--require", "reproducible") == (0, "reproducible", "")


def test_data_that_is_in_no_place_breaks_its_run(
    repo: Path, verify: Verify, origin: Path, tracking_sqlite: str
) -> None:
    run = made()
    value = run.tags["dvc.data.train.csv"]
    object_in(repo.parent / "remote", value).unlink()
    assert verify(run.run_id) == (0, "only here", "it is not on DVC remote 'local'")
    cached = object_in(repo / ".dvc/cache", value)
    cached.chmod(0o644)
    cached.write_text("x,y\n9,9\n3,4\n")
    code, verdict, why = verify(run.run_id)
    assert (code, verdict) == (1, "broken") and "damaged in the cache" in why
    cached.unlink()
    code, verdict, why = verify(run.run_id)
    assert (code, verdict) == (1, "broken") and "not in the cache" in why


def test_a_directory_is_looked_into_with_deep(
    repo: Path, verify: Verify, origin: Path, tracking_sqlite: str
) -> None:
    run = made()
    folder = json.loads(object_in(repo / ".dvc/cache", run.tags["dvc.data.images"]).read_text())
    fox = next(entry["md5"] for entry in folder if entry["relpath"] == "fox.png")
    object_in(repo.parent / "remote", fox).unlink()
    assert verify(run.run_id) == (0, "reproducible", "")
    assert verify(run.run_id, "--deep") == (
        0, "only here", "fox.png: it is not on DVC remote 'local'",
    )  # fmt: skip
    object_in(repo / ".dvc/cache", fox).unlink()
    assert verify(run.run_id, "--deep")[:2] == (1, "broken")
    # The directory's own object is gone from the remote: what lies in it is not taken for granted.
    object_in(repo.parent / "remote", run.tags["dvc.data.images"]).unlink()
    code, verdict, why = verify(run.run_id)
    assert (code, verdict) == (1, "broken") and why.startswith("fox.png")


def test_a_directory_whose_list_is_nowhere_is_broken(
    repo: Path, verify: Verify, origin: Path, tracking_sqlite: str
) -> None:
    run = made()
    for place in (repo / ".dvc/cache", repo.parent / "remote"):
        object_in(place, run.tags["dvc.data.images"]).unlink()
    for args in ((), ("--deep",)):
        assert verify(run.run_id, *args)[:2] == (1, "broken")


def test_a_dirty_run_is_as_good_as_its_snapshot(
    repo: Path, verify: Verify, origin: Path, git: Git, tracking_sqlite: str
) -> None:
    (repo / "train.py").write_text("changed = 1\n")
    run = made()
    assert run.dirty and run.snapshot
    assert verify(run.run_id) == (0, "only here", "it is on no Git remote")
    git("push", "-q", "origin", f"{run.snapshot}:refs/mlflow-dvc/snapshots/{run.snapshot}")
    assert verify(run.run_id) == (0, "reproducible", "")
    client = open_client()
    client.set_tag(run.run_id, "git.snapshot.incomplete", '["untracked files"]')
    assert verify(run.run_id) == (2, "unknown", "it lacks untracked files")
    client.set_tag(run.run_id, "git.snapshot.incomplete", '["big.py","sub"]')
    assert verify(run.run_id) == (1, "broken", "it lacks big.py, sub")
    client.delete_tag(run.run_id, "git.snapshot.incomplete")
    client.delete_tag(run.run_id, "git.snapshot")
    assert verify(run.run_id) == (1, "broken", "dirty, and no snapshot")


def test_a_snapshot_that_lost_a_file_is_broken_unless_a_remote_has_it(
    repo: Path, verify: Verify, origin: Path, git: Git, tracking_sqlite: str
) -> None:
    (repo / "train.py").write_text("changed = 1\n")
    run = made()
    blob = git("rev-parse", f"{run.snapshot}:train.py")
    git("push", "-q", "origin", f"{run.snapshot}:refs/mlflow-dvc/snapshots/{run.snapshot}")
    (repo / ".git/objects" / blob[:2] / blob[2:]).unlink()
    assert verify(run.run_id) == (0, "reproducible", "")
    git("push", "-q", "origin", f":refs/mlflow-dvc/snapshots/{run.snapshot}")
    git("gc", "-q", "--prune=now", cwd=origin)
    code, verdict, why = verify(run.run_id)
    assert (code, verdict) == (1, "broken") and "1 of its Git objects" in why


def test_a_run_without_tags_is_unknown_and_the_hint_is_backfill(
    repo: Path, verify: Verify, tracking_sqlite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = open_client().create_run("0").info.run_id
    assert verify(run_id)[:2] == (2, "unknown")
    assert main(["verify", run_id]) == 2
    assert "hint: mlflow-dvc backfill" in capsys.readouterr().err


def test_a_tree_that_nobody_saw_is_unknown(
    repo: Path, verify: Verify, origin: Path, git: Git, tracking_sqlite: str
) -> None:
    client = open_client()
    run_id = client.create_run("0").info.run_id
    client.set_tag(run_id, "mlflow.source.git.commit", git("rev-parse", "HEAD"))
    assert verify(run_id) == (2, "unknown", "its tags say nothing of its data")
    client.set_tag(run_id, "dvc.schema", "1")
    assert verify(run_id) == (2, "unknown", "whether its tree was clean is not known")


def test_tags_that_lost_a_part_prove_nothing(
    repo: Path, verify: Verify, origin: Path, tracking_sqlite: str
) -> None:
    client, run = open_client(), made()
    client.delete_tag(run.run_id, "dvc.manifest")
    assert verify(run.run_id) == (2, "unknown", "a part of it is missing from the tags")
    client.set_tag(run.run_id, "dvc.manifest", '{"data/train.csv":"../../../etc/passwd"}')
    assert verify(run.run_id)[:2] == (2, "unknown")


def test_all_runs_are_told_apart_and_the_worst_decides(
    repo: Path, origin: Path, git: Git, tracking_sqlite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good = made("good")
    (repo / "train.py").write_text("changed = 1\n")
    bad = made("bad")
    open_client().delete_tag(bad.run_id, "git.snapshot")
    capsys.readouterr()
    assert main(["verify", "--all"]) == 1
    out = capsys.readouterr().out
    assert "2 runs: " in out and "1 broken" in out and "1 reproducible" in out
    assert out.index(bad.run_id[:8]) < out.index(good.run_id[:8])
    assert main(["verify", "--all", "--limit", "1", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["counts"] == {"broken": 1}
    assert main(["verify", "--experiment", "Default", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["counts"] == {"broken": 1, "reproducible": 1}
    assert main(["verify"]) == main(["verify", "--all", "--registered"]) == 2
    assert main(["verify", "--experiment", "nobody"]) == 2
    assert "there is no experiment" in capsys.readouterr().err


def test_registered_models_are_verified_by_the_runs_behind_them(
    repo: Path, origin: Path, tracking_sqlite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    client, run = open_client(), made()
    client.create_registered_model("wine")
    for _ in range(2):
        client.create_model_version("wine", f"runs:/{run.run_id}/m", run.run_id)
    client.create_model_version("wine", "s3://elsewhere/model")
    capsys.readouterr()
    assert main(["verify", "--registered", "--json"]) == 2
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["counts"] == {"reproducible": 1, "unknown": 1}
    models = [one["models"] for one in found["runs"]]
    assert sorted(map(sorted, models)) == [
        ["models:/wine/1", "models:/wine/2"], ["models:/wine/3"],
    ]  # fmt: skip
    assert main(["verify", "--registered", "--limit", "1"]) in (0, 2)
