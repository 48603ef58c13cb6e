"""pre-push: after `git push` the DVC remote has the data of every commit that was pushed."""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

from conftest import Dvc, Git, PythonIn

from sync.conftest import Commit, Push, stored


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def test_a_push_uploads_the_data_of_its_commits(repo: Path, push: Push) -> None:
    shutil.rmtree(repo.parent / "remote")
    done = push()
    assert done.code == 0, done.err
    assert "5 objects uploaded to DVC remote 'local'" in done.err
    assert stored(repo.parent / "remote") == stored(repo / ".dvc/cache")


def test_a_push_with_nothing_to_upload_says_nothing(push: Push) -> None:
    done = push()
    assert (done.code, "mlflow-dvc" in done.err) == (0, False), done.err


def test_every_commit_of_every_branch_counts_whatever_is_checked_out(
    repo: Path, git: Git, push: Push, commit_data: Commit
) -> None:
    for number in range(3):
        commit_data("data/train.csv", f"main {number}\n")
    git("switch", "--quiet", "--create", "other", "HEAD~2", cwd=repo)
    commit_data("data/more.csv", "other\n")
    git("switch", "--quiet", "--orphan", "bare", cwd=repo)
    git("commit", "--quiet", "--allow-empty", "--message", "no DVC", cwd=repo)
    done = push("origin", "main", "other")
    assert done.code == 0, done.err
    wanted = {*(md5(f"main {number}\n") for number in range(3)), md5("other\n")}
    assert wanted <= stored(repo.parent / "remote")


def test_a_deletion_and_a_tag_without_new_commits_look_at_nothing(
    repo: Path, git: Git, push: Push
) -> None:
    assert push("origin", "main", "main:gone").code == 0
    (repo / ".dvc/config").write_text("broken [\n")
    git("tag", "--annotate", "--message", "one", "v1", cwd=repo)
    for args in (("origin", "v1"), ("origin", ":gone")):
        done = push(*args)
        assert (done.code, "mlflow-dvc" in done.err) == (0, False), done.err


def test_a_push_without_new_commits_does_not_import_dvc(repo: Path, python_in: PythonIn) -> None:
    code = (
        "import io, sys; sys.stdin = io.StringIO('(delete) ' + '0' * 40 + ' refs/heads/x ' + "
        "'1' * 40 + chr(10)); from mlflow_dvc_plugin.hook import main; "
        "main(['pre-push', 'origin', 'URL']);"
        "print({'dvc', 'boto3', 'yaml', 'click'} & set(sys.modules))"
    )
    assert python_in(repo, code).strip() == "set()"


def test_a_missing_object_stops_the_push_and_is_named_with_commit_and_path(
    repo: Path, git: Git, push: Push, commit_data: Commit, origin: Path
) -> None:
    first = commit_data("data/train.csv", "lost\n")
    commit_data("data/train.csv", "kept\n")
    lose(repo, md5("lost\n"))
    done = push()
    assert done.code != 0
    assert f"{first[:10]} data/train.csv ({md5('lost' + chr(10))}, remote 'local')" in done.err
    assert "MLFLOW_DVC_ALLOW_MISSING=1" in done.err
    assert git("for-each-ref", cwd=origin) == ""
    done = push(MLFLOW_DVC_ALLOW_MISSING="1")
    assert done.code == 0
    assert f"{first[:10]} data/train.csv" in done.err
    assert md5("kept\n") in stored(repo.parent / "remote")


def test_a_missing_object_of_a_commit_that_another_remote_has_is_a_warning(
    repo: Path, git: Git, push: Push, commit_data: Commit
) -> None:
    commit_data("data/train.csv", "lost\n")
    lose(repo, md5("lost\n"))
    backup = repo.parent / "backup.git"
    git("init", "--quiet", "--bare", str(backup))
    git("remote", "add", "backup", str(backup), cwd=repo)
    git("push", "--quiet", "--no-verify", "backup", "main", cwd=repo)
    done = push()
    assert done.code == 0, done.err
    assert "warning: 1 object(s) that another Git remote has the commit of" in done.err


def test_a_directory_goes_up_after_its_files_and_never_without_one(
    repo: Path, git: Git, dvc: Dvc, push: Push
) -> None:
    shutil.rmtree(repo.parent / "remote")
    lose(repo, md5("picture of a fox\n"))
    done = push()
    assert done.code != 0
    assert "data/images/fox.png" in done.err
    assert push(MLFLOW_DVC_ALLOW_MISSING="1").code == 0
    found = stored(repo.parent / "remote")
    assert md5("picture of a cat\n") in found
    assert [name for name in found if name.endswith(".dir")] == []


def test_a_renamed_file_introduces_nothing(repo: Path, git: Git, dvc: Dvc, push: Push) -> None:
    assert push().code == 0
    dvc("move", "--quiet", "data/train.csv", "data/renamed.csv", cwd=repo)
    git("add", "--all", cwd=repo)
    git("commit", "--quiet", "--message", "rename", cwd=repo)
    shutil.rmtree(repo.parent / "remote")
    done = push()
    assert (done.code, "mlflow-dvc" in done.err) == (0, False), done.err


def test_stages_count_and_what_is_not_to_be_pushed_is_left_alone(
    repo: Path, git: Git, dvc: Dvc, push: Push
) -> None:
    write = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[1])"
    (repo / "write.py").write_text(write + "\n")
    outs = {"up": "a", "stays": "b:\n          push: false", "git": "c:\n          cache: false"}
    text = "stages:\n"
    for name, out in outs.items():
        text += (
            f"  {name}:\n    cmd: {sys.executable} write.py {out[0]}\n    outs:\n      - {out}\n"
        )
    (repo / "dvc.yaml").write_text(text)
    dvc("repro", "--quiet", cwd=repo)
    git("add", "--all", cwd=repo)
    git("commit", "--quiet", "--message", "stages", cwd=repo)
    lose(repo, md5("b"))
    done = push()
    assert done.code == 0, done.err
    assert md5("a") in stored(repo.parent / "remote")
    assert {md5("b"), md5("c")}.isdisjoint(stored(repo.parent / "remote"))


def lose(repo: Path, name: str) -> None:
    """Remove an object from the cache."""
    (repo / ".dvc/cache/files/md5" / name[:2] / name[2:]).unlink()
