"""Data that is imported from another DVC repository comes from there: DVC never pushes it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
import yaml
from conftest import Dvc, Git

from lineage.making import made
from lineage.restoring import beside, bring, tagged, verb
from mlflow_dvc_plugin.lineage.record import Record

FILES = {"a.png": "one\n", "deep/b.png": "two\n", "deep/größer.png": "one\n"}


@pytest.fixture
def source(repo: Path, git: Git, dvc: Dvc) -> Path:
    """A registry: a Git remote, and the data on a DVC remote of its own."""
    work = repo.parent / "registry-work"
    shutil.copytree(repo, work)
    remote = repo.parent / "registry-data"
    dvc("remote", "add", "--quiet", "--force", "--default", "local", str(remote), cwd=work)
    (work / "table.csv").write_text("x\n1\n")
    for name, text in FILES.items():
        (work / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (work / "images" / name).write_text(text)
    (work / "plain.txt").write_text("in Git\n")
    dvc("add", "--quiet", "table.csv", "images", cwd=work)
    git("add", "--all", cwd=work)
    git("commit", "-qm", "registry", cwd=work)
    dvc("push", "--quiet", cwd=work)
    bare = repo.parent / "registry.git"
    git("clone", "-q", "--bare", str(work), str(bare))
    shutil.rmtree(work)
    return bare


@pytest.fixture
def run(repo: Path, source: Path, tracking_sqlite: str, git: Git, dvc: Dvc) -> Record:
    """A run whose data is imported: a file, a directory, and a file that Git holds there."""
    for path in ("table.csv", "images", "plain.txt"):
        dvc("import", "--quiet", f"file://{source}", path, "--out", f"my-{path}", cwd=repo)
    git("add", "--all")
    git("commit", "-qm", "import")
    dvc("push", "--quiet")
    run = made()
    shutil.rmtree(repo / ".dvc/cache")
    for path in ("my-table.csv", "my-images", "my-plain.txt"):
        shutil.rmtree(repo / path) if (repo / path).is_dir() else (repo / path).unlink()
    return run


def hash_of(run: Record, path: str) -> str:
    return (run.manifest or {})[path]


def imported(folder: Path) -> dict[str, str]:
    images = folder / "my-images"
    return {
        path.relative_to(images).as_posix(): path.read_text()
        for path in images.rglob("*") if path.is_file()
    }  # fmt: skip


def test_imported_data_comes_from_the_repository_that_it_was_imported_from(
    repo: Path, run: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    before = bring(run, dry_run=True)
    assert before.whole and not before.made and not (repo / ".dvc/cache").exists()
    outcome = bring(run)
    back = beside(repo, run)
    assert outcome.whole and imported(back) == FILES
    assert (back / "my-table.csv").read_text() == "x\n1\n"
    assert (back / "my-plain.txt").read_text() == "in Git\n"
    assert not list((tmp_path / "scratch").iterdir())  # no clone is left
    cached = [path for path in (repo / ".dvc/cache").rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in cached} == {0o444}
    assert not [path for path in cached if path.parent.name.startswith("mlflow-dvc-")]


def test_a_member_that_is_lost_alone_is_imported_again(repo: Path, run: Record, git: Git) -> None:
    assert bring(run).whole
    git("worktree", "remove", "--force", str(beside(repo, run)))
    two = "c193497a1a06b2c72230e6146ff47080"
    (repo / f".dvc/cache/files/md5/{two[:2]}/{two[2:]}").unlink()
    assert bring(run).whole and imported(beside(repo, run)) == FILES


def test_a_source_that_has_lost_the_data_is_named_among_the_places_tried(
    repo: Path, run: Record, source: Path
) -> None:
    shutil.rmtree(repo.parent / "registry-data")
    code, out, _ = verb(run.run_id)
    assert code == 1 and not beside(repo, run).exists()
    assert f"missing: my-table.csv ({hash_of(run, 'my-table.csv')})" in out
    assert f"  tried file://{source}, table.csv at " in out
    assert "missing: my-plain.txt" not in out  # Git has it there


def test_a_source_that_is_gone_is_named_without_making_anything(
    repo: Path, run: Record, source: Path
) -> None:
    source.rename(source.parent / "elsewhere.git")
    code, out, _ = verb(run.run_id, "--dry-run")
    assert code == 1 and "missing: my-plain.txt" in out
    assert f"  tried file://{source}, plain.txt at " in out and "Traceback" not in out
    assert not (repo / ".dvc/cache").exists()


def test_other_bytes_than_the_run_had_never_enter_the_cache(
    repo: Path, run: Record, git: Git, tmp_path: Path
) -> None:
    data = repo.parent / "registry-data"
    value = hash_of(run, "my-table.csv")
    place = data / f"files/md5/{value[:2]}/{value[2:]}"
    place.chmod(0o644)
    place.write_text("other\n")
    outcome = bring(run)
    assert [one.path for one in outcome.missing] == ["my-table.csv"] and not outcome.made
    assert not (repo / f".dvc/cache/files/md5/{value[:2]}/{value[2:]}").exists()


def test_a_password_in_the_url_of_the_source_is_not_said(
    repo: Path, run: Record, source: Path, git: Git
) -> None:
    metadata = repo / "my-table.csv.dvc"
    document = yaml.safe_load(metadata.read_text())
    document["deps"][0]["repo"]["url"] = "https://ann:hidden@127.0.0.1:9/registry.git"
    metadata.write_text(yaml.safe_dump(document))
    shutil.rmtree(source)
    git("commit", "-qam", "a source with a password")
    tried = str(bring(tagged(run, mlflow__source__git__commit=git("rev-parse", "HEAD"))).missing)
    assert "https://127.0.0.1:9/registry.git, table.csv at" in tried
    assert "hidden" not in tried
