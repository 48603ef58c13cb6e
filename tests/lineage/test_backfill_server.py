"""A tracking server that goes away half way, and objects that Git has lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from conftest import Git
from cutline import NewLine

from lineage.backfilling import filled, old_run, ours, run
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage import backfill


@pytest.mark.slow
def test_a_server_that_goes_away_leaves_whole_runs_and_the_next_call_goes_on(  # noqa: PLR0917
    repo: Path, git: Git, mlflow_server: str, line: NewLine, use_store: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(backfill, "_RUNS_AT_ONCE", 10)
    use_store(mlflow_server)
    experiment = mlflow.create_experiment("cut")
    runs = [old_run(git("rev-parse", "HEAD"), "train.py", experiment) for _ in range(13)]
    cut = line()
    use_store(cut.uri)
    with pytest.raises(MlflowDvcError, match="cannot be used") as caught:
        filled("cut", progress=lambda what, done, total: cut.cut())
    assert caught.value.hint
    use_store(mlflow_server)
    tagged = [one for one in runs if ours(run(one))]
    assert len(tagged) == 10
    assert all("dvc.schema" in ours(run(one)) for one in tagged)
    assert filled("cut").written == 3


def test_a_damaged_commit_is_named_and_the_others_are_done(
    repo: Path, git: Git, tracking_sqlite: str
) -> None:
    first = git("rev-parse", "HEAD")
    tree = git("rev-parse", "HEAD:data")
    (repo / "data/test.csv.dvc").write_text("outs:\n- {md5: " + "a" * 32 + ", path: test.csv}\n")
    git("add", "data")
    git("commit", "-qm", "more")
    lost, kept = old_run(first), old_run(git("rev-parse", "HEAD"))
    (repo / ".git/objects" / tree[:2] / tree[2:]).unlink()
    found = filled()
    assert list(found.broken) == [first] and found.written == 1 and not found.complete
    assert ours(run(lost)) == {} and "dvc.data.test.csv" in ours(run(kept))


def test_what_is_checked_out_stays_as_it_is(repo: Path, git: Git, tracking_sqlite: str) -> None:
    old = old_run(git("rev-parse", "HEAD"))
    (repo / "data/train.csv").write_text("mine")
    (repo / "new.py").write_text("")
    git("checkout", "-q", "--orphan", "other")
    git("commit", "-qm", "another history")
    before = git("status", "--porcelain=v2"), git("for-each-ref"), git("rev-parse", "HEAD")
    assert filled().written == 1
    assert "dvc.manifest" in ours(run(old))
    assert before == (
        git("status", "--porcelain=v2"),
        git("for-each-ref"),
        git("rev-parse", "HEAD"),
    )
    assert (repo / "data/train.csv").read_text() == "mine"
