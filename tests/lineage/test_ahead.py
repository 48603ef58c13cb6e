"""A run that was made just before a commit is found from the commit that holds it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Dvc, Git

from lineage.making import answered, made
from mlflow_dvc_plugin.lineage.record import Record


@pytest.fixture
def dirty(repo: Path, git: Git, tracking_sqlite: str) -> Iterator[Record]:
    """Yield a run made after an edit of train.py, its tree kept as a snapshot does."""
    (repo / "train.py").write_text("print('better')\n")
    yield kept(made("dirty"), git)


def kept(run: Record, git: Git, **tags: str) -> Record:
    """Keep the working tree in Git as the snapshot of a run, and say so in its tags."""
    import mlflow

    index = str(Path(os.environ["HOME"], "index"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_INDEX_FILE", index)
        git("add", "-A")
        tree = git("write-tree")
    Path(index).unlink()
    client = mlflow.MlflowClient()
    snapshot = git("commit-tree", "-p", "HEAD", "-m", "snapshot", tree)
    every = {"git.tree": tree, "git.snapshot": snapshot, "git.dirty": "true", **tags}
    for key, value in every.items():
        client.set_tag(run.run_id, key, value)
    return run


def commit(git: Git, *paths: str) -> None:
    git("add", *(paths or ("-A",)))
    git("commit", "-qm", "it works")


def test_run_then_commit_is_exact(dirty: Record, git: Git) -> None:
    commit(git)
    (hit,) = answered("HEAD").hits
    assert (hit.run.run_id, hit.how, hit.match, hit.differs) == (
        dirty.run_id,
        "before",
        "exact",
        (),
    )
    (hit,) = answered("HEAD~1").hits
    assert (hit.how, hit.match, hit.differs) == ("started", "differs", ("train.py",))


def test_a_run_started_from_the_commit_is_exact(repo: Path, git: Git, tracking_sqlite: str) -> None:
    run = made()
    answer = answered("HEAD")
    (hit,) = answer.hits
    assert (hit.run.run_id, hit.how, hit.match) == (run.run_id, "started", "exact")
    assert answer.complete


def test_other_code_than_the_run_had_is_no_match(dirty: Record, repo: Path, git: Git) -> None:
    (repo / "train.py").write_text("print('even better')\n")
    commit(git)
    answer = answered("HEAD")
    assert list(answer.hits) == [] and answer.complete


def test_code_that_the_run_did_not_have_is_no_match(dirty: Record, repo: Path, git: Git) -> None:
    (repo / "more.py").write_text("")
    commit(git)
    assert list(answered("HEAD").hits) == []


def test_a_file_that_was_untracked_and_stayed_out_is_named(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    (repo / "train.py").write_text("print('better')\n")
    (repo / "scratch.py").write_text("")
    run = kept(made(), git)
    commit(git, "train.py")
    (hit,) = answered("HEAD").hits
    assert (hit.run.run_id, hit.match) == (run.run_id, "differs")
    assert hit.differs == ("scratch.py (untracked then, not in the commit)",)


def test_a_tracked_file_that_the_commit_deletes_is_no_match(
    dirty: Record, repo: Path, git: Git
) -> None:
    git("rm", "-q", ".dvcignore")
    commit(git)
    assert list(answered("HEAD").hits) == []


def test_what_the_run_produced_is_no_difference(
    repo: Path, git: Git, dvc: Dvc, tracking_sqlite: str
) -> None:
    (repo / "dvc.yaml").write_text(
        "stages:\n  train:\n    cmd: echo {} > metrics.json && echo m > model.pkl\n"
        "    deps: [data/train.csv]\n    outs: [model.pkl]\n"
        "    metrics: [metrics.json: {cache: false}]\n"
    )
    run = kept(made(), git)
    dvc("repro", "--quiet")
    commit(git)
    (hit,) = answered("HEAD").hits
    assert (hit.run.run_id, hit.match) == (run.run_id, "differs")
    assert hit.differs == tuple(
        f"{path} (the run's own product)" for path in (".gitignore", "dvc.lock", "metrics.json")
    )


def test_a_model_added_after_the_run_is_its_product_and_data_is_not(
    dirty: Record, repo: Path, git: Git, dvc: Dvc
) -> None:
    (repo / "models").mkdir()
    (repo / "models/m.pkl").write_text("model")
    dvc("add", "--quiet", "models/m.pkl")
    commit(git)
    (hit,) = answered("HEAD").hits
    assert hit.differs == tuple(
        f"models/{name} (the run's own product)" for name in (".gitignore", "m.pkl.dvc")
    )
    git("reset", "-q", "--soft", "HEAD~1")
    (repo / "data/train.csv").write_text("x,y\n7,8\n")
    dvc("add", "--quiet", "data/train.csv")
    commit(git)
    assert list(answered("HEAD").hits) == []


def test_a_tree_that_is_not_here_is_unknown_and_no_match(dirty: Record, git: Git) -> None:
    import mlflow

    mlflow.MlflowClient().set_tag(dirty.run_id, "git.tree", "1" * 40)
    commit(git)
    answer = answered("HEAD")
    assert list(answer.hits) == [] and not answer.complete
    assert "its tree is not here" in answer.gaps[f"run {dirty.run_id}"]
    (hit,) = answered("HEAD~1").hits
    assert (hit.match, hit.differs) == ("unknown", ("dirty, and its tree is not here",))


def test_a_tag_that_is_no_tree_is_never_given_to_git(dirty: Record, git: Git) -> None:
    import mlflow

    mlflow.MlflowClient().set_tag(dirty.run_id, "git.tree", "--output=owned")
    commit(git)
    assert list(answered("HEAD").hits) == []


def test_a_snapshot_that_is_not_whole_is_not_exact(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    (repo / "train.py").write_text("print('better')\n")
    kept(made(), git, **{"git.snapshot.incomplete": '["sub"]'})
    commit(git)
    (hit,) = answered("HEAD").hits
    assert hit.match == "unknown" and hit.differs == ("its snapshot lacks sub",)


def test_a_run_is_found_from_the_amended_commit_too(dirty: Record, git: Git) -> None:
    commit(git)
    clean = made("clean")
    git("commit", "-q", "--amend", "-m", "said better")
    hits = {hit.run.run_id: (hit.how, hit.match) for hit in answered("HEAD").hits}
    assert hits == {dirty.run_id: ("before", "exact"), clean.run_id: ("same tree", "exact")}


def test_a_merge_holds_runs_of_both_parents(repo: Path, git: Git, tracking_sqlite: str) -> None:
    git("checkout", "-qb", "side")
    (repo / "side.py").write_text("")
    commit(git)
    git("checkout", "-q", "main")
    (repo / "main.py").write_text("")
    commit(git)
    git("merge", "-q", "--no-commit", "side")
    run = kept(made(), git)
    git("commit", "-qm", "merged")
    (hit,) = answered("HEAD").hits
    assert (hit.run.run_id, hit.match) == (run.run_id, "exact")


def test_a_range_names_the_commit_of_each_run(dirty: Record, repo: Path, git: Git) -> None:
    commit(git)
    clean = made()
    hits = [(hit.run.run_id, hit.how, hit.commit) for hit in answered("main~1..main").hits]
    head = git("rev-parse", "HEAD")
    assert hits == [(clean.run_id, "started", head), (dirty.run_id, "before", head)]


def test_a_shallow_clone_still_knows_the_parents(
    dirty: Record, repo: Path, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(git)
    git("clone", "-q", "--depth=1", repo.as_uri(), str(tmp_path / "shallow"))
    monkeypatch.chdir(tmp_path / "shallow")
    (hit,) = answered("HEAD").hits
    assert (hit.run.run_id, hit.match) == (dirty.run_id, "exact")


def test_data_that_is_committed_after_the_run_is_held_when_it_is_what_the_run_used(
    repo: Path, git: Git, dvc: Dvc, tracking_sqlite: str
) -> None:
    (repo / "data/train.csv").write_text("x,y\n7,8\n")
    run = made()
    assert run.dirty is False
    (hit,) = answered("HEAD").hits
    assert (hit.how, hit.match) == ("started", "differs")
    assert hit.differs == ("data/train.csv (the run used other data)",)
    dvc("add", "--quiet", "data/train.csv")
    commit(git)
    (hit,) = answered("HEAD").hits
    assert (hit.run.run_id, hit.how) == (run.run_id, "before")
    assert hit.differs == ("data/train.csv.dvc (states the data that the run used)",)
    git("reset", "-q", "--soft", "HEAD~1")
    (repo / "data/train.csv").write_text("x,y\n9,9\n")
    dvc("add", "--quiet", "data/train.csv")
    commit(git)
    assert list(answered("HEAD").hits) == []


def test_metrics_that_dvc_yaml_names_are_the_run_s_own(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    (repo / "dvc.yaml").write_text("metrics: [dvclive/metrics.json]\nplots: [dvclive/plots]\n")
    run = kept(made(), git)
    (repo / "dvclive/plots").mkdir(parents=True)
    for name in ("metrics.json", "plots/loss.tsv"):
        (repo / "dvclive" / name).write_text("")
    commit(git)
    (hit,) = answered("HEAD").hits
    assert hit.run.run_id == run.run_id and len(hit.differs) == 2
