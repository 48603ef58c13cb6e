"""Code and data of several repositories: submodules, and DVC in a repository of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import Git

from lineage.making import made
from lineage.verifying import Verify


@pytest.fixture(autouse=True)
def _store(tracking_sqlite: str) -> None:
    """Keep the runs in a store of the test's own."""


def test_the_commit_of_a_submodule_is_asked_for_there(
    repo: Path, origin: Path, verify: Verify, git: Git
) -> None:
    library = repo.parent / "library.git"
    git("init", "-q", "--bare", str(library))
    git("clone", "-q", str(library), "../work")
    work = repo.parent / "work"
    (work / "lib.py").write_text("")
    git("add", "lib.py", cwd=work)
    git("commit", "-qm", "lib", cwd=work)
    git("push", "-q", "origin", "HEAD", cwd=work)
    git("submodule", "--quiet", "add", str(library), "lib")
    git("commit", "-qam", "submodule")
    git("push", "-q", "origin", "main")
    assert verify(made().run_id) == (0, "reproducible", "")
    git("commit", "-q", "--allow-empty", "-m", "only here", cwd=repo / "lib")
    git("commit", "-qam", "another submodule")
    git("push", "-q", "origin", "main")
    run = made()
    assert verify(run.run_id) == (0, "only here", "it is on no Git remote")
    shutil.rmtree(repo / "lib")
    assert verify(run.run_id) == (2, "unknown", "the submodule is not checked out here")


def test_the_data_of_another_repository_is_asked_for_there(
    repo: Path, origin: Path, verify: Verify, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, far = repo / "code", repo.parent / "code.git"
    (repo / ".gitignore").write_text("code\n")
    git("add", ".gitignore")
    git("commit", "-qm", "code lies here")
    git("push", "-q", "origin", "main")
    code.mkdir()
    git("init", "-q", cwd=code)
    (code / "train.py").write_text("")
    git("add", "train.py", cwd=code)
    git("commit", "-qm", "code", cwd=code)
    git("init", "-q", "--bare", str(far))
    git("remote", "add", "origin", str(far), cwd=code)
    git("push", "-q", "origin", "main", cwd=code)
    monkeypatch.chdir(code)
    run = made()
    assert run.data_rev == git("rev-parse", "HEAD", cwd=repo) and run.commit != run.data_rev
    assert verify(run.run_id) == (0, "reproducible", "")
    git("push", "-q", "--force", "origin", "HEAD~1:main", cwd=repo)
    assert verify(run.run_id) == (0, "only here", "it is on no Git remote")
    monkeypatch.chdir(repo)
    code_only = verify(run.run_id)
    assert code_only[:2] == (2, "unknown"), code_only
