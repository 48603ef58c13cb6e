"""MLFLOW_DVC_REPO, the remote that is named, and the variables of Git hooks."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Git
from providing import URL, code_of, tags, warnings_in

# ---- MLFLOW_DVC_REPO ----


def test_the_repository_can_be_named_from_anywhere(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = tags()
    monkeypatch.chdir(tmp_path / "empty")
    assert tags() == {}
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (str(repo), str(repo / "data"), "../project", "~/project", f"{repo}/"):
        monkeypatch.setenv("MLFLOW_DVC_REPO", name)
        assert tags() == expected, name


@pytest.mark.parametrize("name", ["no/such/folder", "train.py"])
def test_a_name_that_is_no_folder_gives_no_tags_and_a_warning(
    repo: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    monkeypatch.setenv("MLFLOW_DVC_REPO", name)
    assert tags() == {}
    (warning,) = warnings_in(caplog)
    assert f"MLFLOW_DVC_REPO={name} is not a folder" in warning


def test_a_named_folder_that_is_no_repository_gives_no_tags(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DVC_REPO", str(tmp_path / "empty"))
    assert tags() == {}


# ---- which remote ----


@pytest.mark.parametrize(
    ("remotes", "followed", "expected"),
    [
        (["origin"], None, "origin"),
        (["a", "origin", "b"], "b", "origin"),
        (["a", "b"], "b", "b"),
        (["a"], None, "a"),
        (["a"], "gone", "a"),
        (["a", "b"], None, None),
        ([], None, None),
    ],
)
def test_origin_counts_then_the_branchs_remote_then_the_only_one(
    repo: Path, git: Git, remotes: list[str], followed: str | None, expected: str | None
) -> None:
    for name in remotes:
        git("remote", "add", name, f"https://host.example/{name}/repo")
    if followed:
        git("config", "branch.main.remote", followed)
    found = tags().get(URL)
    assert found == (f"https://host.example/{expected}/repo" if expected else None)


@pytest.mark.parametrize(
    ("configured", "public"),
    [
        ("https://user:SECRET@host.example/team/repo", "https://host.example/team/repo"),
        (
            "https://SECRET@host.example:8443/team/repo.git",
            "https://host.example:8443/team/repo.git",
        ),
        ("https://host.example/repo?token=SECRET#SECRET", "https://host.example/repo"),
        ("https://us%40er:SEC%40RET@host.example/r", "https://host.example/r"),
        ("git@host.example:team/repo.git", "git@host.example:team/repo.git"),
        ("host.example:team/repo", "host.example:team/repo"),
        ("ssh://git@host.example:22/team/repo", "ssh://host.example:22/team/repo"),
        ("/srv/git/repo.git", "/srv/git/repo.git"),
        ("../bare.git", "../bare.git"),
        ("file:///srv/git/repo", "file:///srv/git/repo"),
    ],
)
def test_a_remotes_url_leaves_without_credentials(
    repo: Path, git: Git, configured: str, public: str
) -> None:
    git("remote", "add", "origin", configured)
    assert tags()[URL] == public


def test_a_remote_changed_between_two_captures_shows(repo: Path, git: Git) -> None:
    from mlflow_dvc_plugin.context import DvcRunContext

    provider = DvcRunContext()
    git("remote", "add", "origin", "https://host.example/one")
    assert provider.tags()[URL] == "https://host.example/one"
    git("remote", "set-url", "origin", "https://host.example/two")
    time.sleep(1.05)  # for that long one capture answers
    assert provider.tags()[URL] == "https://host.example/two"


# ---- variables, as inside a Git hook ----


@pytest.fixture
def other(git: Git, tmp_path: Path) -> Path:
    """Return another repository, dirty, on another branch and with another remote."""
    folder = tmp_path / "other"
    git("init", "-q", "-b", "elsewhere", str(folder))
    (folder / "file").write_text("other\n")
    git("add", "--all", cwd=folder)
    git("commit", "-q", "--message", "other", cwd=folder)
    git("remote", "add", "origin", "https://host.example/other", cwd=folder)
    (folder / "file").write_text("changed\n")
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ("GIT_DIR",),
        ("GIT_DIR", "GIT_WORK_TREE"),
        ("GIT_INDEX_FILE",),
        ("GIT_DIR", "GIT_INDEX_FILE", "GIT_PREFIX"),
        ("GIT_WORK_TREE",),
        ("GIT_COMMON_DIR", "GIT_DIR"),
        ("GIT_OBJECT_DIRECTORY",),
        ("GIT_NAMESPACE",),
        ("GIT_LITERAL_PATHSPECS",),
        ("GIT_CEILING_DIRECTORIES",),
        ("GIT_OPTIONAL_LOCKS", "GIT_TRACE", "GIT_PAGER", "GIT_EXTERNAL_DIFF"),
    ],
)
def test_variables_that_name_another_repository_change_nothing(
    repo: Path, git: Git, other: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    git("remote", "add", "origin", "https://host.example/mine")
    expected = tags()
    assert expected[URL] == "https://host.example/mine" and code_of(expected)[1:] == (
        "main",
        "false",
    )
    values = {
        "GIT_DIR": other / ".git", "GIT_COMMON_DIR": other / ".git", "GIT_WORK_TREE": other,
        "GIT_INDEX_FILE": other / ".git/index", "GIT_PREFIX": "sub/", "GIT_NAMESPACE": "n",
        "GIT_OBJECT_DIRECTORY": other / ".git/objects", "GIT_CEILING_DIRECTORIES": repo.parent,
    }  # fmt: skip
    for name in names:
        monkeypatch.setenv(name, str(values.get(name, "1")))
    assert tags() == expected


@pytest.mark.slow
def test_inside_a_commit_hook_the_run_has_the_tags_it_had_before(
    repo: Path, git: Git, tmp_path: Path
) -> None:
    """`git commit -a` gives its hooks a GIT_INDEX_FILE of its own, and holds `index.lock`."""
    hook = repo / ".git/hooks/pre-commit"
    hook.write_text(
        f"#!/bin/sh\nexec {sys.executable} -c 'import json; "
        "from mlflow_dvc_plugin.context import DvcRunContext as C; "
        f'print(json.dumps(C().tags()), file=open("{tmp_path}/said", "w"))\'\n'
    )
    hook.chmod(0o755)
    (repo / "train.py").write_text("changed\n")
    expected = tags()
    subprocess.run(["git", "commit", "-qam", "second"], check=True)
    found = json.loads((tmp_path / "said").read_text())
    assert code_of(found)[0] == code_of(expected)[0] != git("rev-parse", "HEAD")
    assert found["git.dirty"] == "true" and found["dvc.status"] == "clean"
