"""Objects that change after they were looked at, while other data still comes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Dvc, Git

from lineage.making import made
from lineage.restoring import bring
from lineage.test_restore_known import FILES, FOLDER, objects, run
from mlflow_dvc_plugin.lineage.outcome import Outcome
from mlflow_dvc_plugin.lineage.parts import How
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.restore import restore

__all__ = ["run"]


def replace(path: Path, data: bytes) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(data)
    other.chmod(0o444)
    other.replace(path)


def bring_while(run: Record, to: str, act: Callable[[], None]) -> Outcome:
    """Restore; do something else once, while objects are downloaded."""
    acts = [act]

    def progress(what: str, *_: object) -> None:
        if what == "downloading objects" and acts:
            acts.pop()()

    return restore(run, How(to), os.getcwd(), progress)


@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_an_object_that_is_replaced_while_others_come_is_never_called_checked(
    repo: Path, run: Record, git: Git, dvc: Dvc, kind: str
) -> None:
    (repo / "table.csv").write_bytes(b"x\n7\n")
    dvc("add", "--quiet", "table.csv")
    git("add", "--all")
    git("commit", "-qm", "table")
    dvc("push", "--quiet")
    dvc("config", "--quiet", "--local", "cache.type", kind)
    run = made()
    md5 = hashlib.md5(b"x\n7\n").hexdigest()
    table = repo / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    objects(repo)[0].unlink()
    outcome = bring_while(run, "../after", lambda: replace(table, b"y\n7\n"))
    after = repo.parent / "after"
    assert outcome.whole, outcome
    assert (after / "table.csv").read_bytes() == b"x\n7\n"
    assert outcome.fetched == 2  # both that came, in the second try, too
    assert len(git("worktree", "list").splitlines()) == 2
    assert {p: (after / FOLDER / p).read_bytes() for p in FILES} == FILES


@pytest.mark.parametrize("again", [False, True])
def test_an_object_that_is_a_symbolic_link_itself_comes_back_as_what_it_leads_to(
    repo: Path, run: Record, again: bool
) -> None:
    if again:
        assert bring(run, to="../before").whole
    for path in objects(repo):
        path.rename(path.with_name("moved"))
        path.symlink_to("moved")
    assert bring(run, to="../after").whole
    for name, data in FILES.items():
        assert (repo.parent / "after" / FOLDER / name).read_bytes() == data


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: replace(path, b"other\n")])
def test_all_that_is_missing_is_named_at_once(
    repo: Path, run: Record, git: Git, dvc: Dvc, damage: Callable[[Path], None]
) -> None:
    (repo / "table.csv").write_bytes(b"x\n7\n")
    dvc("add", "--quiet", "table.csv")
    git("add", "--all")
    git("commit", "-qm", "table")
    run = made()
    assert bring(run, to="../before").whole
    md5 = hashlib.md5(b"x\n7\n").hexdigest()
    (repo / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()
    damage(objects(repo)[0])
    outcome = bring(run, to="../after")
    table, member = sorted(outcome.missing, key=lambda one: one.path, reverse=True)
    assert table.path == "table.csv"
    assert member.path.startswith(f"{FOLDER}/")
    assert not (repo.parent / "after").exists()
