"""Whatever lies on the disk, `tags()` answers, in time, and says nothing untrue."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Git
from providing import COMMIT, DIRTY, in_time, tags
from tagrules import assert_every_store_takes


def no_head(repo: Path) -> None:
    (repo / ".git/HEAD").write_bytes(b"\0\xff garbage")


def empty_head(repo: Path) -> None:
    (repo / ".git/HEAD").write_bytes(b"")


def head_is_a_folder(repo: Path) -> None:
    (repo / ".git/HEAD").unlink()
    (repo / ".git/HEAD").mkdir()


def no_objects(repo: Path) -> None:
    shutil.rmtree(repo / ".git/objects")
    (repo / ".git/objects").mkdir()


def broken_index(repo: Path) -> None:
    (repo / ".git/index").write_bytes(b"DIRC" + os.urandom(500))


def broken_config(repo: Path) -> None:
    (repo / ".git/config").write_bytes(b"[core\n\xff\0")


def git_file_to_itself(repo: Path) -> None:
    shutil.rmtree(repo / ".git")
    (repo / ".git").write_text("gitdir: .git\n")


def git_file_is_binary(repo: Path) -> None:
    shutil.rmtree(repo / ".git")
    (repo / ".git").write_bytes(b"gitdir: \0\xff\n\n")


def refs_in_a_circle(repo: Path) -> None:
    (repo / ".git/refs/heads/main").write_text("ref: refs/heads/main\n")


@pytest.mark.parametrize(
    "damage",
    [no_head, empty_head, head_is_a_folder, no_objects, broken_index, broken_config,
     git_file_to_itself, git_file_is_binary, refs_in_a_circle],
)  # fmt: skip
def test_a_damaged_git_folder_is_never_clean(repo: Path, damage: Callable[[Path], None]) -> None:
    damage(repo)
    with in_time():
        found = tags()
    assert found.get(DIRTY) != "false" and "git.tree" not in found
    assert found["dvc.status"] in ("clean", "unknown")
    assert_every_store_takes(found)


# ---- metadata files ----


def deep_yaml(path: Path) -> None:
    path.write_text("".join("  " * level + "a:\n" for level in range(200)))


def bomb(path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    path.write_text("\n".join(lines) + "\nouts: *a9\n")


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: path.write_bytes(os.urandom(4096)), id="binary"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_bytes(b"\0" * 4096), id="zeros"),
        pytest.param(lambda path: path.write_text("outs: [[[[" * 5000), id="brackets"),
        pytest.param(deep_yaml, id="200 levels"),
        pytest.param(bomb, id="bomb"),
        pytest.param(lambda path: path.write_text("outs:\n- path: [1]\n  md5: {}\n"), id="types"),
        pytest.param(lambda path: path.write_text("- 1\n"), id="list"),
        pytest.param(os.mkfifo, id="FIFO"),
        pytest.param(lambda path: path.symlink_to(path.name), id="loop"),
        pytest.param(lambda path: path.symlink_to("/no/such/file"), id="dangling"),
        pytest.param(lambda path: path.symlink_to("/dev/zero"), id="device"),
        pytest.param(lambda path: path.mkdir(), id="folder"),
    ],
)
@pytest.mark.parametrize("name", ["x.dvc", "dvc.yaml"])
def test_a_strange_metadata_file_hides_no_other_data(
    repo: Path, git: Git, make: Callable[[Path], None], name: str
) -> None:
    expected = tags()
    make(repo / name)
    with in_time():
        found = tags()
    assert found["dvc.manifest"] == expected["dvc.manifest"]
    assert found[COMMIT] == git("rev-parse", "HEAD") and found[DIRTY] == "false"
    if found["dvc.status"] != "clean":
        assert found["dvc.status"] == "unknown" and name in found["dvc.changed"]
        assert "dvc.hash" not in found
    assert_every_store_takes(found)


# ---- data ----


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink(path, path)])
@pytest.mark.parametrize("where", ["data/train.csv", "data/images/cat.png"])
def test_data_that_is_a_fifo_or_a_loop_is_never_clean(
    repo: Path, make: Callable[[Path], None], where: str
) -> None:
    (repo / where).unlink()
    make(repo / where)
    with in_time():
        found = tags()
    assert found.get("dvc.status") in ("unknown", "modified"), found
    assert where.removesuffix("/cat.png") in found["dvc.changed"]
    assert "data/train.csv" in found["dvc.changed"] or "dvc.data.train.csv" in found


def test_a_folder_in_which_symlinks_lead_in_circles(repo: Path) -> None:
    (repo / "data/images/up").symlink_to("..")
    with in_time():
        assert tags()["dvc.status"] in ("modified", "clean", "unknown")


@pytest.mark.parametrize("swap", [("data/train.csv", "folder"), ("data/images", "file")])
def test_a_file_that_became_a_folder_and_the_other_way_round(
    repo: Path, swap: tuple[str, str]
) -> None:
    path = repo / swap[0]
    if swap[1] == "folder":
        path.unlink()
        path.mkdir()
        (path / "inside").write_text("x")
    else:
        shutil.rmtree(path)
        path.write_text("x")
    found = tags()
    assert found["dvc.status"] == "modified" and found["dvc.changed"] == f'["{swap[0]}"]'


@pytest.mark.parametrize(
    "closed", ["data/train.csv", "data/images", "data/images/cat.png", "data", "data/train.csv.dvc"]
)
def test_what_may_not_be_read_is_unknown(repo: Path, git: Git, closed: str) -> None:
    """Root may read everything, so this process becomes somebody else for a moment."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    git("config", "--global", "safe.directory", "*")
    tags()
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        folder = Path(name)
        folder.chmod(0o755)
        shutil.rmtree(repo / ".dvc/tmp")
        shutil.copytree(repo, folder / "project", symlinks=True)
        (folder / "project" / closed).chmod(0)
        settings = shutil.copy(os.environ["GIT_CONFIG_GLOBAL"], folder / "gitconfig")
        before = {key: os.environ[key] for key in ("HOME", "GIT_CONFIG_GLOBAL")}
        os.environ.update(HOME=name, GIT_CONFIG_GLOBAL=str(settings))
        os.chdir(folder / "project")
        os.seteuid(65534)
        try:
            found = tags()
        finally:
            os.seteuid(0)
            os.chdir("/")
            os.environ.update(before)
    assert found.get("dvc.status") in ("unknown", None) and "dvc.hash" not in found, found
    assert found[COMMIT] == git("rev-parse", "HEAD", cwd=repo)
