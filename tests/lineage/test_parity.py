"""Every commit of a real history states what DVC itself reads in it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from capture.conftest import dvc_outs
from conftest import Dvc, Git

from lineage.history import History
from mlflow_dvc_plugin.lineage.revision import Revisions, Stated


@pytest.fixture
def history(tmp_path: Path, git: Git, dvc: Dvc) -> list[str]:
    """Make a repository with more than a hundred commits; return them, the oldest first."""
    folder = tmp_path / "history"
    folder.mkdir()
    made = History(folder, git, dvc)
    made.begin()
    for number in range(1, 91):
        made.step(number)
    return git("rev-list", "--reverse", "--all", cwd=folder).split()


def _parity(folder: Path, stated: Stated, seen: Counter[str]) -> None:
    for root, found in stated.repos.items():
        outs, broken = dvc_outs(folder, root, stated.commit)
        assert {(out.path, out.hash) for out in found.outputs} == outs, (stated.commit, root)
        assert set(found.broken) == broken
        assert all(stated.outputs[path].path == path for path, _ in outs)
        seen.update(out.scheme for out in found.outputs)
        seen.update({root: 1, "outs": len(outs), "broken": len(broken)})
    assert len(stated.outputs) == len({out.path for one in stated.repos.values()
                                       for out in one.outputs})  # fmt: skip


@pytest.mark.slow
def test_every_commit_states_what_dvc_reads_in_it(
    history: list[str], tmp_path: Path, git: Git
) -> None:
    folder = tmp_path / "history"
    assert len(history) > 100
    revisions = Revisions(str(folder))
    revisions.prefetch(history[:60])  # the others one by one
    seen: Counter[str] = Counter()
    for commit in history:
        stated = revisions.at(commit)
        assert stated == Revisions(str(folder)).at(commit)
        roots = git("ls-tree", "-r", "-z", "--name-only", commit, cwd=folder).split("\0")
        configs = {path for path in roots if f"/{path}".endswith("/.dvc/config")}
        assert {f"{root}/.dvc/config".lstrip("/") for root in stated.repos} == configs
        _parity(folder, stated, seen)
    assert all(seen[kind] > 20 for kind in ("md5", "md5-dos2unix", "", "team", "broken"))
    assert not git("status", "--porcelain", cwd=folder)
