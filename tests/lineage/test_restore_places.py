"""Restore where repositories are several, sparse, in a subfolder, or of DVC 2.x."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import Dvc, Git
from versions import ONE, data_in

from lineage.making import made
from lineage.restoring import beside, bring, tagged
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.capture.hashing import file_md5
from mlflow_dvc_plugin.errors import MlflowDvcError


@pytest.mark.parametrize("named", ["option", "variable", "working directory"])
def test_code_and_data_of_two_repositories_both_come_back(  # noqa: PLR0917
    apart: Path, repo: Path, tracking_sqlite: str, git: Git, monkeypatch: pytest.MonkeyPatch,
    named: str,
) -> None:  # fmt: skip
    run = made()
    rev = git("rev-parse", "HEAD", cwd=repo)
    with monkeypatch.context() as patch:
        patch.chdir(repo)
        data = {key: value for key, value in made().tags.items() if key.startswith("dvc.")}
    run = tagged(run, **data, dvc__rev=rev)
    git("commit", "-q", "--allow-empty", "-m", "data goes on", cwd=repo)
    how: dict[str, Any] = {"to": "../back"}
    if named == "option":
        how["data_repo"] = str(repo)
    elif named == "variable":
        monkeypatch.setenv("MLFLOW_DVC_REPO", str(repo / "data"))
    else:
        with pytest.raises(MlflowDvcError, match="is in another repository") as caught:
            bring(run, **how)
        assert "--data-repo" in caught.value.hint
        return
    outcome = bring(run, **how)
    back = repo.parent / "back"
    assert outcome.whole and len(outcome.checked) == 2
    assert outcome.folders == {str(back): run.commit, f"{back}-project": rev}
    assert (back / "train.py").read_text() == "code\n"
    assert data_in(repo.parent / "back-project") == ONE
    assert bring(run, to="../only", only="code").folders == {str(repo.parent / "only"): run.commit}
    git("commit", "-q", "--allow-empty", "-m", "code goes on", cwd=apart)
    git("rm", "-q", "train.py", cwd=repo)
    git("commit", "-qm", "no script", cwd=repo)
    (repo / "train.py").write_text("mine\n")
    with pytest.raises(MlflowDvcError, match="git checkout failed"):
        bring(run, data_repo=str(repo), in_place=True)
    assert git("symbolic-ref", "HEAD", cwd=apart) == "refs/heads/main"  # both, or none
    (repo / "train.py").unlink()
    outcome = bring(run, data_repo=str(repo), in_place=True)
    assert outcome.whole and git("rev-parse", "HEAD", cwd=repo) == rev
    assert outcome.back == "main"


def test_a_sparse_checkout_is_not_taken_over(repo: Path, tracking_sqlite: str, git: Git) -> None:
    (repo / "docs").mkdir()
    (repo / "docs/x.md").write_text("x\n")
    git("add", "-A")
    git("commit", "-qm", "docs")
    run = made()
    git("sparse-checkout", "set", "--cone", "data", ".dvc")
    assert not (repo / "docs").exists()
    outcome = bring(run)
    folder = beside(repo, run)
    assert outcome.whole and (folder / "docs/x.md").exists() and data_in(folder) == ONE
    assert git("status", "--porcelain", cwd=folder) == "" and not (repo / "docs").exists()
    git("checkout", "-q", "--detach", "HEAD~", cwd=folder)
    git("checkout", "-q", "--detach", "main", cwd=folder)
    assert (folder / "docs/x.md").exists()
    assert git("config", "core.sparseCheckout") == "true"


def test_a_repository_of_dvc_in_a_subfolder_and_a_branch_without_any(
    tmp_path: Path, tracking_sqlite: str, git: Git, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = tmp_path / "mono"
    (top / "ml/data").mkdir(parents=True)
    monkeypatch.chdir(top)
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "nothing yet")
    git("branch", "bare")
    dvc("init", "--quiet", "--subdir", cwd=top / "ml")
    (top / "ml/data/x.csv").write_text("x\n")
    dvc("add", "--quiet", "data/x.csv", cwd=top / "ml")
    dvc("remote", "add", "--quiet", "--default", "r", str(tmp_path / "r"), cwd=top / "ml")
    dvc("push", "--quiet", cwd=top / "ml")
    git("add", "-A")
    git("commit", "-qm", "data")
    monkeypatch.chdir(top / "ml")
    run = made()
    assert run.manifest == {"ml/data/x.csv": "401b30e3b8b5d629635a5c613cdb7919"}
    assert bring(run).whole
    assert (beside(top, run) / "ml/data/x.csv").read_text() == "x\n"
    monkeypatch.chdir(top)
    shutil.rmtree(top / "ml")
    git("checkout", "-q", "-f", "bare")
    assert not (top / "ml").exists()
    outcome = bring(run, to="../again")
    again = tmp_path / "again"
    assert outcome.whole and outcome.fetched == 1
    assert (again / "ml/data/x.csv").read_text() == "x\n"
    assert "up to date" in dvc("status", cwd=again / "ml")
    assert git("status", "--porcelain") == "" and not (top / "ml").exists()


def test_outputs_of_dvc_2_come_back(repo: Path, tracking_sqlite: str, git: Git) -> None:
    text = "a,b\r\n1,2\r\n"
    (repo / "data/old.csv").write_text(text, newline="")
    value = file_md5(str(repo / "data/old.csv"), "md5-dos2unix", Deadline(None))[0]
    (repo / "data/old.csv.dvc").write_text(f"outs:\n- md5: {value}\n  path: old.csv\n")
    (repo / "data/.gitignore").write_text("/train.csv\n/images\n/old.csv\n")
    place = repo.parent / "remote" / value[:2] / value[2:]
    place.parent.mkdir(exist_ok=True)
    place.write_text(text, newline="")
    git("add", "-A")
    git("commit", "-qm", "old data")
    run = made()
    assert (run.manifest or {})["data/old.csv"] == value
    outcome = bring(run)
    assert outcome.whole and outcome.fetched == 1
    assert (beside(repo, run) / "data/old.csv").read_bytes() == text.encode()
    assert (repo / ".dvc/cache" / value[:2] / value[2:]).is_file()


def test_the_user_s_links_are_used(repo: Path, tracking_sqlite: str, git: Git, dvc: Dvc) -> None:
    run = made()
    for kind in ("hardlink", "symlink", "copy"):
        dvc("config", "--quiet", "cache.type", kind)
        assert bring(run, to=f"../{kind}").whole
        file = repo.parent / kind / "data/images/cat.png"
        assert file.is_symlink() == (kind == "symlink")
        assert (os.lstat(file).st_nlink > 1) == (kind == "hardlink")
        assert data_in(repo.parent / kind) == ONE


def test_an_output_outside_the_cache_is_checked_and_a_submodule_named(
    repo: Path, tracking_sqlite: str, git: Git, dvc: Dvc
) -> None:
    (repo / "dvc.yaml").write_text(
        "stages:\n  s:\n    cmd: echo 1 > numbers.txt\n    outs:\n      - numbers.txt:\n"
        "          cache: false\n"
    )
    dvc("repro", "--quiet")
    git("submodule", "--quiet", "add", str(repo), "sub")
    git("add", "-A")
    git("commit", "-qm", "more")
    run = made()
    assert "numbers.txt" in (run.manifest or {})
    outcome = bring(run)
    assert outcome.whole and "numbers.txt" in outcome.checked
    assert any("submodules are left out" in note for note in outcome.notes)


def test_filters_give_the_tree_as_git_gives_it(repo: Path, tracking_sqlite: str, git: Git) -> None:
    (repo / ".gitattributes").write_text("*.txt text eol=crlf\n*.up filter=up\n")
    git("config", "filter.up.clean", "tr a-z A-Z")
    git("config", "filter.up.smudge", "tr A-Z a-z")
    (repo / "a.txt").write_bytes(b"1\r\n2\r\n")
    (repo / "b.up").write_text("abc\n")
    git("add", "-A")
    git("commit", "-qm", "filtered")
    run = made()
    outcome = bring(run)
    folder = beside(repo, run)
    assert outcome.whole and outcome.notes == []
    assert (folder / "a.txt").read_bytes() == b"1\r\n2\r\n"
    assert (folder / "b.up").read_text() == "abc\n"


def test_a_member_of_a_directory_comes_back_alone(
    repo: Path, tracking_sqlite: str, git: Git, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repo / "dvc.yaml").write_text(
        "stages:\n  s:\n    cmd: python s.py\n    deps: [s.py, data/images/cat.png]\n"
    )
    (repo / "s.py").write_text("")
    git("add", "-A")
    git("commit", "-qm", "a stage")
    monkeypatch.setenv("DVC_STAGE", "s")
    run = made()
    assert list(run.manifest or {}) == ["data/images/cat.png"]
    folder = beside(repo, run)
    assert bring(run).whole and list(data_in(folder)) == ["data/images/cat.png"]
    assert bring(run, everything=True, to="../all").whole
    assert data_in(repo.parent / "all") == ONE
