"""Runs from before the plugin get the tags that their commits state."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import mlflow
import pytest
from conftest import Dvc, Git

from lineage.backfilling import UNSEEN, filled, old_run, ours, run
from lineage.making import made
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.store import open_client

NOWHERE = "0123456789" * 4


def test_it_tags_old_runs_on_every_store(repo: Path, git: Git, store: str) -> None:
    head = git("rev-parse", "HEAD")
    lost = "".join(reversed(head))
    experiment = mlflow.create_experiment(f"old {store}")
    runs = [old_run(head, "train.py", experiment) for _ in range(3)]
    away = old_run(lost, "train.py", experiment)
    live = made()
    before = run(live.run_id)
    looked = filled(f"old {store}", write=False)
    assert (looked.runs, looked.commits, looked.here, looked.tagged) == (4, 2, 3, 0)
    assert looked.absent == {lost: 1} and looked.written == 0
    assert ours(run(runs[0])) == {}
    assert filled(f"old {store}").written == 3
    expected = {key: value for key, value in ours(live).items() if key not in UNSEEN}
    del expected["dvc.remote"]  # nobody knows what it was
    for run_id in runs:
        assert ours(run(run_id)) == {**expected, "dvc.source": "backfill"}
    assert ours(run(away)) == {}
    assert run(live.run_id) == before
    again = filled(f"old {store}", write=False)
    assert (again.runs, again.tagged) == (1, 3)


def test_what_a_commit_states_is_what_a_clean_run_of_it_carries(
    versions: Path, git: Git, tracking_sqlite: str
) -> None:
    for rev in ("main", "main~1", "two", "two~1"):
        git("checkout", "-q", rev)
        live = ours(made())
        old = old_run(git("rev-parse", "HEAD"))
        filled()
        found = ours(run(old))
        assert found.keys() == live.keys() - UNSEEN - {"dvc.remote"} | {"dvc.source"}
        assert all(value == live[key] for key, value in found.items() if key != "dvc.source")


def test_no_tag_that_a_run_has_is_changed(repo: Path, git: Git, tracking_sqlite: str) -> None:
    head = git("rev-parse", "HEAD")
    mine = old_run(head, **{"dvc.hash": "mine", "dvc.data.train.csv": "mine too"})
    done = old_run(head, **{"dvc.schema": "0"})
    assert filled().written == 1
    tags = ours(run(mine))
    assert tags["dvc.hash"] == "mine" and tags["dvc.data.train.csv"] == "mine too"
    assert tags["dvc.schema"] == "1" and "dvc.manifest" in tags
    assert ours(run(done)) == {"dvc.schema": "0"}


def test_a_run_that_was_tagged_meanwhile_is_left_alone(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    runs = [old_run(git("rev-parse", "HEAD")) for _ in range(102)]
    first: list[str] = []

    def progress(what: str, done: int, total: int) -> None:
        if not first:
            first.extend(one for one in runs if "dvc.schema" not in run(one).tags)
            open_client().set_tag(first[0], "dvc.schema", "live")
            open_client().delete_run(first[1])

    found = filled(progress=progress)
    assert found.written == 100 and list(found.refused) == [first[1]]
    assert ours(run(first[0])) == {"dvc.schema": "live"}


def test_a_store_that_goes_away_leaves_whole_runs_and_the_next_call_goes_on(
    repo: Path, git: Git, tracking_sqlite: str, tmp_path: Path
) -> None:
    runs = [old_run(git("rev-parse", "HEAD")) for _ in range(150)]

    def rename(old: str, new: str) -> None:
        with contextlib.closing(sqlite3.connect(tmp_path / "mlflow/mlflow.db")) as base, base:
            base.execute(f"ALTER TABLE {old} RENAME TO {new}")

    def progress(what: str, done: int, total: int) -> None:
        assert (done, total) == (100, 150)
        rename("tags", "lost")

    with pytest.raises(MlflowDvcError, match="cannot be used") as caught:
        filled(progress=progress)
    assert caught.value.hint
    rename("lost", "tags")
    tagged = [one for one in runs if ours(run(one))]
    assert len(tagged) == 100
    assert len({tuple(sorted(ours(run(one)).items())) for one in tagged}) == 1
    assert filled().written == 50
    assert all(ours(run(one)) == ours(run(runs[0])) for one in runs)


def test_only_the_newest_runs_of_an_experiment_when_asked(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    head = git("rev-parse", "HEAD")
    other = mlflow.create_experiment("other")
    runs = [old_run(head, experiment=other) for _ in range(3)]
    default = old_run(head)
    assert filled("other", limit=2).written == 2
    assert [bool(ours(run(one))) for one in [*runs, default]] == [False, True, True, False]
    with pytest.raises(MlflowDvcError, match="no experiment"):
        filled("nobody's")


def test_a_commit_that_is_not_here_and_what_is_none(
    repo: Path, git: Git, tracking_sqlite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob, tree = git("rev-parse", "HEAD:train.py"), git("rev-parse", "HEAD^{tree}")
    (repo / "more").write_text("")
    git("add", "more")
    git("commit", "-qm", "more")
    first = git("rev-parse", "HEAD~1")
    odd = (NOWHERE, blob, first[:12], "HEAD", "--all", "HEAD\nHEAD", "it's")
    for commit in odd:
        old_run(commit)
    found = filled()
    assert set(found.absent) == set(odd) and found.written == 0 and found.hint == "git fetch --all"
    assert not found.complete
    git("clone", "-q", "--depth=1", repo.as_uri(), str(tmp_path / "shallow"))
    monkeypatch.chdir(tmp_path / "shallow")
    old_run(first)
    found = filled()
    assert found.absent[first] == 1 and found.hint == "git fetch --unshallow"
    assert tree not in found.absent
    git("fetch", "-q", "--unshallow")
    assert filled().written == 1


def test_a_commit_without_dvc_gets_its_tree(
    repo: Path, git: Git, tracking_sqlite: str, dvc: Dvc
) -> None:
    git("rm", "-rqf", ".dvc", "data")
    git("commit", "-qm", "no data")
    old = old_run(git("rev-parse", "HEAD"))
    assert filled().written == 1
    assert ours(run(old)) == {
        "git.tree": git("rev-parse", "HEAD^{tree}"), "dvc.schema": "1", "dvc.source": "backfill",
    }  # fmt: skip
    assert filled().runs == 0


def test_a_broken_metadata_file_leaves_the_whole_hash_out(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    (repo / "data/train.csv.dvc").write_text("<<<<<<< HEAD\n")
    git("commit", "-qam", "conflict")
    old = old_run(git("rev-parse", "HEAD"))
    assert filled().written == 1
    tags = ours(run(old))
    assert "dvc.data.images" in tags
    assert not {"dvc.hash", "dvc.changed", "dvc.status"} & tags.keys()
