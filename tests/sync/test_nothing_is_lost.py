"""No byte that a person made is lost, and what does not follow is named with what mends it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Dvc, Git
from versions import ONE, TWO, data_in, git_says, sync


def test_unsaved_changes_of_a_file_stay(versions: Path) -> None:
    (versions / "data/train.csv").write_text("mine\n")
    said = git_says("checkout", "-q", "two")
    assert "data/train.csv stays as it is: it has changes that are in no cache" in said
    assert "keep what is there: dvc add data/train.csv; drop it: dvc checkout --force" in said
    assert data_in(versions) == TWO | {"data/train.csv": "mine\n"}
    assert "not in sync: 1 more" in git_says("checkout", "-q", "main")
    assert sync()[1].count("data/train.csv stays as it is") == 1
    assert data_in(versions) == ONE | {"data/train.csv": "mine\n"}


@pytest.mark.parametrize("name", ["cat.png", "fox.png", "dog.png"])
def test_unsaved_changes_in_a_directory_keep_all_of_it(versions: Path, name: str) -> None:
    """Changed in the other version, absent there, and equal there."""
    (versions / "data/images" / name).write_text("mine\n")
    said = git_says("checkout", "-q", "two")
    assert (versions / "data/images" / name).read_text() == "mine\n"
    assert "data/images" in said


def test_files_of_ones_own_inside_a_data_folder_survive(versions: Path, git: Git) -> None:
    (versions / ".dvcignore").write_text("*.tmp\n")
    git("add", ".dvcignore")
    git("commit", "-qm", "ignore")
    (versions / "data/images/notes.tmp").write_text("ignored by DVC\n")
    git("checkout", "-q", "two")
    assert data_in(versions) == TWO | {"data/images/notes.tmp": "ignored by DVC\n"}
    (versions / "data/images/new.png").write_text("not added yet\n")
    own = {"data/images/notes.tmp": "ignored by DVC\n", "data/images/new.png": "not added yet\n"}
    assert "not in sync" in git_says("checkout", "-q", "main")
    assert data_in(versions) == ONE | own
    (versions / "data/images/new.png").unlink()
    assert sync()[0] == 0


@pytest.mark.parametrize("branch", ["main", "two"])
def test_a_listing_that_was_damaged_since_it_was_read_is_not_followed(
    versions: Path, git: Git, branch: str
) -> None:
    """Of the version before or the one to come; its size and mtime are as they were."""
    for to in ("two", "main", "two", "main"):
        git("checkout", "-q", to)
    stated = git("show", f"{branch}:data/images.dvc")
    md5 = next(line.split()[-1] for line in stated.splitlines() if "md5:" in line)
    listing = versions / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    info, text = listing.stat(), listing.read_text()
    listing.chmod(0o644)
    listing.write_text(text.replace("cat.png", "rat.png"))
    listing.chmod(0o444)
    os.utime(listing, ns=(info.st_atime_ns, info.st_mtime_ns))
    git_says("checkout", "-q", "two")
    assert not (versions / "data/images/rat.png").exists()
    found = data_in(versions)
    assert found == (TWO if branch == "main" else {**ONE, "data/train.csv": TWO["data/train.csv"]})


def test_a_file_in_the_place_of_one_to_come_stays(versions: Path) -> None:
    (versions / "data/images/sub").mkdir()
    (versions / "data/images/sub/owl.png").write_text("mine\n")
    git_says("checkout", "-q", "two")
    assert (versions / "data/images/sub/owl.png").read_text() == "mine\n"


def test_a_version_that_is_not_in_the_cache_leaves_what_is_there(
    versions: Path, git: Git, monkeypatch: pytest.MonkeyPatch, dvc: Dvc
) -> None:
    git("checkout", "-q", "two")
    dvc("push", "--quiet")
    git("checkout", "-q", "main")
    (versions / ".dvc/cache").rename(versions / "gone")
    keep = {path for path in (versions / "gone/files/md5").rglob("*") if path.is_file()}
    (versions / ".dvc/cache/files/md5").mkdir(parents=True)
    old = {entry["md5"] for entry in _objects(versions)}
    for path in keep:
        if path.parent.name + path.name in old:
            target = versions / ".dvc/cache/files/md5" / path.parent.name / path.name
            target.parent.mkdir(exist_ok=True)
            shutil.copy2(path, target)
    said = git_says("checkout", "-q", "two")
    assert "dvc pull data/images" in said and "dvc pull data/train.csv" in said
    assert data_in(versions) == ONE
    monkeypatch.setenv("MLFLOW_DVC_FETCH", "true")
    code, said = sync()
    assert code == 0, said
    assert data_in(versions) == TWO


def _objects(project: Path) -> Iterator[dict[str, str]]:
    """Yield what is on disk now as md5 and path, the directory's own listing included."""
    import yaml

    for path in (project / "data/train.csv.dvc", project / "data/images.dvc"):
        (out,) = yaml.safe_load(path.read_text())["outs"]
        yield out
        if out["md5"].endswith(".dir"):
            folder = project / "gone/files/md5" / out["md5"][:2]
            yield from json.loads((folder / out["md5"][2:]).read_text())


def test_a_corrupt_object_is_not_used(versions: Path) -> None:
    for path in (versions / ".dvc/cache/files/md5").rglob("*"):
        if path.is_file() and path.read_bytes() == TWO["data/train.csv"].encode():
            path.chmod(0o644)
            path.write_text("x,y\n5,7\n")
            path.chmod(0o444)
    said = git_says("checkout", "-q", "two")
    assert "dvc pull data/train.csv" in said
    assert data_in(versions) == TWO | {"data/train.csv": ONE["data/train.csv"]}


def test_data_whose_metadata_vanished_stays_when_its_bytes_are_nowhere_else(
    versions: Path, git: Git
) -> None:
    (versions / "data/train.csv").write_text("mine\n")
    git("rm", "-q", "data/train.csv.dvc")
    said = git_says("commit", "-qm", "gone")
    assert "data/train.csv has no metadata here any more, and stays" in said
    assert (versions / "data/train.csv").read_text() == "mine\n"


def test_a_listing_that_leads_out_of_the_folder_is_not_followed(
    versions: Path, git: Git, tmp_path: Path
) -> None:
    import hashlib

    listing = [{"md5": "a" * 32, "relpath": "../../../evil"}]
    data = json.dumps(listing).encode()
    md5 = hashlib.md5(data).hexdigest()
    place = versions / ".dvc/cache/files/md5" / md5[:2] / (md5[2:] + ".dir")
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(data)
    (versions / "data/images.dvc").write_text(
        f"outs:\n- md5: {md5}.dir\n  size: 1\n  nfiles: 1\n  hash: md5\n  path: images\n"
    )
    code, said = sync()
    assert code == 1 and "data/images" in said
    assert data_in(versions) == ONE
    assert not list(tmp_path.rglob("evil"))


def test_a_link_that_leads_out_of_the_repository_is_not_followed(
    versions: Path, tmp_path: Path
) -> None:
    shutil.move(versions / "data/images", tmp_path / "elsewhere")
    (versions / "data/images").symlink_to(tmp_path / "elsewhere")
    before = sorted(path.name for path in (tmp_path / "elsewhere").iterdir())
    said = git_says("checkout", "-q", "two")
    assert "leads out of the repository" in said
    assert sorted(path.name for path in (tmp_path / "elsewhere").iterdir()) == before


def test_data_that_a_dvc_command_uses_is_left_alone(versions: Path) -> None:
    lock = versions / ".dvc/tmp/rwlock"
    lock.parent.mkdir(exist_ok=True)
    use = {"pid": os.getpid(), "cmd": "dvc repro"}
    lock.write_text(json.dumps({str(versions / "data/train.csv"): {"read": [use]}}))
    said = git_says("checkout", "-q", "two")
    assert f"data/train.csv is left alone: dvc repro (process {os.getpid()}) uses it" in said
    assert data_in(versions) == TWO | {"data/train.csv": ONE["data/train.csv"]}
    use["pid"] = 1 << 70  # damaged
    lock.write_text(json.dumps({str(versions / "data/train.csv"): {"read": [use]}}))
    assert sync()[0] == 0
    assert data_in(versions) == TWO
