"""Objects that the start of a run has read through links: the first restore need not read them."""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import time
from pathlib import Path

import pytest
from conftest import Dvc, Git

from lineage.making import made
from lineage.restoring import bring
from lineage.test_restore_verified import damage, opened
from mlflow_dvc_plugin.lineage.outcome import Outcome
from mlflow_dvc_plugin.lineage.record import Record

FOLDER = "data/many"
COUNT = 1000
# In another order by their names than by their hashes, one below another folder, two alike.
NAMES = [f"part-{number}.csv" for number in range(COUNT - 2)] + ["sub/a.csv", "part-5.csv.old"]


def content(name: str, version: int = 1) -> bytes:
    return f"x\n{version} {name.removesuffix('.old')}\n".encode()


def write(repo: Path, git: Git, dvc: Dvc, version: int) -> None:
    folder = repo / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content(name, version))
    dvc("add", "--quiet", FOLDER)
    git("add", "--all")
    git("commit", "-qm", f"version {version}")


@pytest.fixture
def project(repo: Path, tracking_sqlite: str, git: Git, dvc: Dvc) -> Path:
    dvc("config", "--quiet", "cache.type", "hardlink")
    write(repo, git, dvc, 1)
    return repo


def object_of(repo: Path, name: str, version: int = 1) -> Path:
    md5 = hashlib.md5(content(name, version)).hexdigest()
    return repo / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


def brought(repo: Path, run: Record, to: str = "../back") -> tuple[Outcome, int]:
    """Bring the run back; return how many objects of its directory were read for it, too."""
    with opened() as files:
        outcome = bring(run, to=to)
    paths = {str(object_of(repo, name)) for name in NAMES}
    return outcome, len(paths.intersection(files))


@pytest.mark.parametrize("link", ["hardlink", "symlink"])
def test_what_a_run_has_read_through_links_is_not_read_again(
    project: Path, git: Git, dvc: Dvc, link: str
) -> None:
    dvc("config", "--quiet", "cache.type", link)
    git("commit", "-qam", "links", "--allow-empty")
    dvc("checkout", "--quiet", "--relink")
    run = made()
    write(project, git, dvc, 2)  # what was known of the directory is now that of another version
    made()
    outcome, read = brought(project, run)
    assert outcome.whole and read == 0
    for name in NAMES:
        assert (project.parent / "back" / FOLDER / name).read_bytes() == content(name)


def test_what_a_run_has_read_in_a_linked_worktree_is_known_to_all(
    project: Path, git: Git, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    git("worktree", "add", "-q", "--detach", "../linked")
    monkeypatch.chdir(project.parent / "linked")
    dvc("config", "--local", "--quiet", "cache.dir", str(project / ".dvc/cache"), cwd=Path.cwd())
    dvc("checkout", "--quiet", cwd=Path.cwd())
    run = made()
    monkeypatch.chdir(project)
    outcome, read = brought(project, run)
    assert outcome.whole and read == 0


def test_what_a_run_has_read_as_copies_says_nothing_of_the_objects(
    project: Path, git: Git, dvc: Dvc
) -> None:
    dvc("config", "--quiet", "cache.type", "copy")
    dvc("checkout", "--quiet", "--relink")
    for name in NAMES:
        os.chmod(project / FOLDER / name, 0o444)
    dvc("config", "--quiet", "cache.type", "hardlink")
    run = made()
    damage(object_of(project, "part-7.csv"), 0o444)
    outcome, _ = brought(project, run)
    assert [one.path for one in outcome.missing] == [f"{FOLDER}/part-7.csv"]
    assert "damaged" in outcome.missing[0].tried[0]


@pytest.mark.parametrize("how", ["bytes", "gone", "another", "swapped"])
def test_an_object_that_is_another_one_since_the_run_is_found(
    project: Path, how: str, tmp_path: Path
) -> None:
    run = made()
    source, other = (object_of(project, name) for name in ("part-7.csv", "part-8.csv"))
    info = source.stat()
    names = [f"{FOLDER}/part-7.csv"]
    if how == "bytes":
        source.chmod(0o644)
        source.write_bytes(b"y" * info.st_size)
        source.chmod(0o444)
    elif how == "gone":
        source.unlink()
    elif how == "another":
        (tmp_path / "new").write_bytes(b"y" * info.st_size)
        os.utime(tmp_path / "new", ns=(info.st_atime_ns, info.st_mtime_ns))
        (tmp_path / "new").chmod(0o444)
        (tmp_path / "new").replace(source)
    else:  # each of them was read, under the other name
        source.rename(tmp_path / "aside")
        other.rename(source)
        (tmp_path / "aside").rename(other)
        names.append(f"{FOLDER}/part-8.csv")
    outcome, _ = brought(project, run)
    assert sorted(one.path for one in outcome.missing) == names
    assert not (project.parent / "back").exists()


def test_files_that_are_links_and_others_that_are_not(project: Path, git: Git, dvc: Dvc) -> None:
    """One was edited, and is the object's no more; the run has read it, and the rest."""
    edited = project / FOLDER / "part-9.csv"
    edited.unlink()
    edited.write_bytes(content("part-9.csv"))
    edited.chmod(0o444)
    run = made()
    assert run.tags["dvc.status"] == "clean"
    damage(object_of(project, "part-9.csv"), 0o444)
    outcome, _ = brought(project, run)
    assert [one.path for one in outcome.missing] == [f"{FOLDER}/part-9.csv"]


def test_a_run_goes_on_where_it_cannot_be_written_down(project: Path) -> None:
    (project / ".git/mlflow-dvc").mkdir(exist_ok=True)
    (project / ".git/mlflow-dvc/objects").write_text("in the way\n")
    run = made()
    assert run.tags["dvc.status"] == "clean"
    outcome, read = brought(project, run)
    assert outcome.whole and read == COUNT - 1  # two are alike


@pytest.mark.parametrize("link", ["hardlink", "symlink"])
@pytest.mark.parametrize("by", ["data", "object"])
def test_what_the_run_itself_writes_through_its_memory_is_found(
    project: Path, dvc: Dvc, link: str, by: str
) -> None:
    """It changes no time once a page is dirty; under whichever of its names it was mapped."""
    dvc("config", "--quiet", "cache.type", link)
    dvc("checkout", "--quiet", "--relink")
    name = "part-7.csv"
    path = project / FOLDER / name if by == "data" else object_of(project, name)
    object_of(project, name).chmod(0o644)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        object_of(project, name).chmod(0o444)
        memory[0] = memory[0]
        time.sleep(0.1)
        run = made()
        memory[0] = ord("y")
    outcome, _ = brought(project, run)
    assert [one.path for one in outcome.missing] == [f"{FOLDER}/{name}"]


def test_files_that_are_no_links_keep_nothing_from_the_others(
    project: Path, git: Git, dvc: Dvc
) -> None:
    """DVC makes no links for empty files."""
    for name in ("a-first.csv", "part-3.csv"):
        (project / FOLDER / name).unlink(missing_ok=True)
        (project / FOLDER / name).touch()
    dvc("add", "--quiet", FOLDER)
    git("commit", "-qam", "empty ones")
    run = made()
    outcome, read = brought(project, run)
    assert outcome.whole and read == 0
    assert (project.parent / "back" / FOLDER / "a-first.csv").read_bytes() == b""
