"""Imports whose metadata or source is not as it should be; what is said, and what is left."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Dvc, Git

from lineage.making import made
from lineage.restoring import bring, tagged, verb
from lineage.test_restore_import import run, source
from mlflow_dvc_plugin.dvcrepo import source as other
from mlflow_dvc_plugin.lineage.record import Record

__all__ = ["run", "source"]


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder for temporary files."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def stating(repo: Path, run: Record, git: Git, url: str, **more: Any) -> Record:
    """Return the run at a commit whose import of the table is from ``url``."""
    metadata = repo / "my-table.csv.dvc"
    document = yaml.safe_load(metadata.read_text())
    document["deps"][0]["repo"].update(url=url, **more)
    metadata.write_text(yaml.safe_dump(document))
    git("commit", "-qam", "another source")
    return tagged(run, mlflow__source__git__commit=git("rev-parse", "HEAD"))


def tried(run: Record, **how: Any) -> str:
    missing = {one.path: one for one in bring(run, **how).missing}
    assert set(missing) == {"my-table.csv"}  # the others came, or could
    return missing["my-table.csv"].tried[-1]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_clone_that_failed_leaves_nothing(
    repo: Path, run: Record, git: Git, scratch: Path, dry_run: bool
) -> None:
    asked = stating(repo, run, git, f"file://{repo.parent}/nowhere.git")
    assert "nowhere.git" in tried(asked, dry_run=dry_run)
    assert not list(scratch.iterdir()) and tempfile.gettempdir() == str(scratch)


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% {0}/pwned", "-oProxyCommand=touch {0}/pwned:repo", ".",
        "--upload-pack=touch {0}/pwned", "file:///etc", "/dev/null",
    ],
)  # fmt: skip
def test_a_url_is_never_run(  # noqa: PLR0917
    repo: Path, run: Record, git: Git, scratch: Path, tmp_path: Path, url: str
) -> None:
    assert tried(stating(repo, run, git, url.format(tmp_path)))
    assert not (tmp_path / "pwned").exists() and not list(scratch.iterdir())


def test_secrets_of_a_url_are_not_said_however_long_it_is(
    repo: Path, run: Record, git: Git
) -> None:
    long = "x" * 280
    for url in (
        f"https://ann:hid/den@127.0.0.1:9/{long}.git", f"https://ann:hidden{long}@127.0.0.1:9/r.git",
        "https://127.0.0.1:9/r.git?token=hidden", "https://hidden@127.0.0.1:9/r.git",
    ):  # fmt: skip
        said = tried(stating(repo, run, git, url), dry_run=True)
        assert "hid" not in said and str(tempfile.gettempdir()) not in said


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(
    repo: Path, run: Record, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(other, "_SILENCE", 1.0)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)
        for scheme in ("http", "git"):
            url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/r.git"
            assert "timed out" in tried(stating(repo, run, git, url), dry_run=True)
    assert socket.getdefaulttimeout() is None and "GIT_TERMINAL_PROMPT" not in os.environ


@pytest.mark.parametrize("deps", [5, "text", [5], [{"repo": 5}], {"path": "x"}])
def test_metadata_that_states_no_source_is_no_import(
    repo: Path, run: Record, git: Git, deps: object
) -> None:
    metadata = repo / "my-table.csv.dvc"
    document = yaml.safe_load(metadata.read_text())
    metadata.write_text(yaml.safe_dump({**document, "deps": deps}))
    git("commit", "-qam", "odd")
    code = git("rev-parse", "HEAD")
    assert "my-table.csv" in {
        one.path for one in bring(tagged(run, mlflow__source__git__commit=code)).missing
    }


@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("../../../../etc/passwd", {}), ("/etc/passwd", {}), ("table.csv", {"rev_lock": "--all"}),
        ("table.csv", {"rev_lock": 5}), ("table.csv", {"remote": 5}), ([1], {}),
        ("table.csv", {"config": {"core": 5}}), ("plain.txt", {}),
    ],
)  # fmt: skip
def test_a_source_that_states_nonsense_hides_no_other_piece(  # noqa: PLR0917
    repo: Path, run: Record, git: Git, capfd: pytest.CaptureFixture[str], path: Any,
    more: dict[str, Any], source: Path,
) -> None:  # fmt: skip
    metadata = repo / "my-table.csv.dvc"
    document = yaml.safe_load(metadata.read_text())
    document["deps"][0]["path"] = path
    metadata.write_text(yaml.safe_dump(document))
    asked = stating(repo, run, git, f"file://{source}", **more)
    capfd.readouterr()
    assert tried(asked)
    assert capfd.readouterr() == ("", "")


def test_an_import_from_a_relative_path_comes_from_any_working_directory(  # noqa: PLR0917
    repo: Path, source: Path, tracking_sqlite: str, git: Git, dvc: Dvc,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (repo / "sub").mkdir()
    dvc("import", "--quiet", f"../../{source.name}", "table.csv", cwd=repo / "sub")
    git("add", "--all")
    git("commit", "-qm", "import")
    run = made()
    shutil.rmtree(repo / ".dvc/cache")
    (repo / "sub/table.csv").unlink()
    for number, folder in enumerate((repo, repo / "sub", repo / "data")):
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        shutil.rmtree(repo / ".dvc/cache", ignore_errors=True)
        code, out, err = verb(run.run_id, "--to", str(repo.parent / f"at{number}"))
        assert code == 0, out + err
