"""The data of two runs beside each other, output by output and file by file."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Dvc, Git
from versions import TWO, write_data

from lineage.making import made
from mlflow_dvc_plugin.lineage.diff import diff
from mlflow_dvc_plugin.lineage.outputdiff import DataDiff, OutputDiff
from mlflow_dvc_plugin.lineage.record import Record


def data(first: Record, second: Record | None = None, everything: bool = False) -> DataDiff:
    found = diff(first, second, parts=["data"], everything=everything).data
    assert found is not None
    return found


def files(one: OutputDiff) -> list[tuple[str, str | None, str]]:
    assert one.files is not None, one.note
    return [(change.kind, change.was, change.path) for change in one.files]


@pytest.fixture
def two(versions: Path, tracking_sqlite: str, git: Git) -> tuple[Record, Record]:
    """Return a run on each of the branches `main` and `two`."""
    first = made()
    git("checkout", "-q", "two")
    return first, made()


def test_directories_are_compared_file_by_file(two: tuple[Record, Record]) -> None:
    found = data(*two)
    images, train = found.outputs
    assert (images.kind, images.path) == ("changed", "data/images") and images.same_files == 1
    assert files(images) == [
        ("changed", None, "cat.png"), ("removed", None, "fox.png"), ("added", None, "sub/owl.png"),
    ]  # fmt: skip
    assert images.files
    assert [(one.size_before, one.size_after) for one in images.files] == [
        (17, 12), (17, None), (None, 7),
    ]  # fmt: skip
    assert (train.kind, train.path, train.files) == ("changed", "data/train.csv", None)
    assert (train.size_before, train.size_after) == (12, 8)
    assert found.same is False and found.gaps == ()


def test_a_run_beside_itself_differs_in_nothing(two: tuple[Record, Record]) -> None:
    found = diff(two[0], two[0])
    assert found.same is True
    assert found.data == DataDiff(equal=2)


def test_sizes_and_files_come_from_the_remote_when_the_cache_is_gone(
    two: tuple[Record, Record], versions: Path, dvc: Dvc
) -> None:
    dvc("push", "--quiet", "--all-branches")
    expected = data(*two)
    shutil.rmtree(versions / ".dvc/cache")
    assert data(*two) == expected


def test_files_that_are_nowhere_are_said_to_be_unknown(
    two: tuple[Record, Record], versions: Path
) -> None:
    shutil.rmtree(versions / ".dvc/cache")
    shutil.rmtree(versions.parent / "remote")
    images, train = data(*two).outputs
    assert images.kind == "changed" and images.files is None
    assert "cannot be told" in images.note and "neither the cache" in images.note
    assert train.size_before == 12  # stands in the metadata


def test_a_renamed_file_and_a_renamed_output_are_moved(
    repo: Path, tracking_sqlite: str, git: Git, dvc: Dvc
) -> None:
    first = made()
    (repo / "data/images/dog.png").rename(repo / "data/images/hound.png")
    dvc("add", "--quiet", "data/images")
    dvc("move", "--quiet", "data/train.csv", "data/table.csv")
    git("add", "-A")
    git("commit", "-qm", "names")
    images, table = data(first, made()).outputs
    assert files(images) == [("moved", "dog.png", "hound.png")] and images.same_files == 2
    assert (table.kind, table.was, table.path) == ("moved", "data/train.csv", "data/table.csv")


def test_one_run_is_compared_with_the_bytes_on_disk(
    two: tuple[Record, Record], versions: Path
) -> None:
    first, second = two
    assert data(second).same is True
    (versions / "data/images/sub/owl.png").write_text("another owl\n")
    (versions / "data/train.csv").unlink()
    images, train = data(second).outputs
    assert files(images) == [("changed", None, "sub/owl.png")] and images.same_files == 2
    assert images.files and images.files[0].size_after == 12
    assert (train.kind, train.note) == ("removed", "tracked there as well, but not on disk")
    assert data(first).outputs[0].path == "data/images"


def test_data_that_the_run_did_not_have_is_added(
    repo: Path, tracking_sqlite: str, dvc: Dvc
) -> None:
    run = made()
    (repo / "data/more.csv").write_text("1\n")
    dvc("add", "--quiet", "data/more.csv")
    (one,) = data(run).outputs
    assert (one.kind, one.path, one.size_after) == ("added", "data/more.csv", 2)
    again = made()
    (one,) = data(run, again).outputs
    assert (one.kind, one.path) == ("added", "data/more.csv")
    (one,) = data(again, run).outputs
    assert (one.kind, one.path) == ("removed", "data/more.csv")


def test_a_run_without_tags_is_unknown_and_says_what_mends_it(
    repo: Path, tracking_sqlite: str
) -> None:
    run = made()
    bare = replace(run, tags={})
    for pair in ((bare, run), (run, bare), (bare, None)):
        found = data(*pair)
        assert found.same is None and found.outputs == ()
        assert any("backfill" in gap for gap in found.gaps)


def test_an_incomplete_list_of_data_proves_nothing(repo: Path, tracking_sqlite: str) -> None:
    run = made()
    tags = {key: value for key, value in run.tags.items() if key != "dvc.hash"}
    manifest = json.loads(tags.pop("dvc.manifest"))
    train = manifest.pop("data/train.csv")
    tags |= {"dvc.manifest": json.dumps(manifest), "dvc.changed": '["data/train.csv"]',
             "dvc.status": "unknown"}  # fmt: skip
    (one,) = data(run, replace(run, tags=tags)).outputs
    assert (one.kind, one.before, one.after) == ("unknown", train, None)
    assert data(replace(run, tags=tags), run).same is None
    tags.pop("dvc.changed")
    (one,) = data(run, replace(run, tags=tags)).outputs
    assert one.kind == "unknown" and "not complete" in one.note


def test_products_count_only_when_they_are_asked_for(
    repo: Path, tracking_sqlite: str, git: Git, dvc: Dvc
) -> None:
    (repo / "models").mkdir()
    runs = []
    for text in ("one", "two"):
        (repo / "models/m.pkl").write_text(text)
        dvc("add", "--quiet", "models/m.pkl")
        git("add", "-A")
        git("commit", "-qm", text)
        runs.append(made())
    assert data(runs[0], runs[1]).same is True
    (model,) = data(runs[0], runs[1], everything=True).outputs
    assert (model.kind, model.path, model.product) == ("changed", "models/m.pkl", True)
    dropped = {key: value for key, value in runs[1].tags.items() if key != "dvc.products"}
    (model,) = data(runs[0], replace(runs[1], tags=dropped), everything=True).outputs
    assert (model.kind, model.note) == ("unknown", "second: not recorded there")


def test_a_part_of_a_directory_is_compared_with_what_lies_in_it(
    two: tuple[Record, Record], versions: Path, git: Git
) -> None:
    first, second = two
    whole = json.loads(first.tags["dvc.manifest"])
    listed = json.loads(
        (versions / ".dvc/cache/files/md5" / whole["data/images"][:2] / whole["data/images"][2:])
        .read_text()
    )  # fmt: skip
    cat = next(one["md5"] for one in listed if one["relpath"] == "cat.png")
    part = replace(first, tags={**first.tags, "dvc.manifest": json.dumps({
        "data/images/cat.png": cat, "data/train.csv": whole["data/train.csv"]})})  # fmt: skip
    (one,) = data(part, first).outputs
    assert (one.kind, one.path) == ("added", "data/images") and "only parts" in one.note
    git("checkout", "-q", "main")
    assert data(part).same is True
    git("checkout", "-q", "two")
    assert {one.path for one in data(part).outputs} == {"data/images/cat.png", "data/train.csv"}
    assert data(part, second).same is False


def test_a_directory_that_became_a_file_says_so(
    repo: Path, tracking_sqlite: str, git: Git, dvc: Dvc
) -> None:
    first = made()
    dvc("remove", "--quiet", "data/images.dvc")
    shutil.rmtree(repo / "data/images")
    (repo / "data/images").write_text("all in one")
    dvc("add", "--quiet", "data/images")
    git("add", "-A")
    git("commit", "-qm", "one file")
    (one,) = data(first, made()).outputs
    assert (one.kind, one.note) == ("changed", "a directory before, a file after")


def test_hostile_names_and_hashes_in_tags_reach_no_file(
    repo: Path, tracking_sqlite: str, tmp_path: Path
) -> None:
    run = made()
    (tmp_path / "secret").write_text("1234567")
    odd = {"../../../secret": "../../../../../secret", "--output=x": "0" * 32, "/etc": "a.dir"}
    other = replace(run, tags={**run.tags, "dvc.manifest": json.dumps(odd)})
    found = {one.path: one for one in data(other, run).outputs}
    assert found["../../../secret"].kind == "removed"
    assert found["../../../secret"].size_before is None and found["/etc"].files is None
    assert data(other).same is False


def test_the_data_of_a_colleague_whose_commit_is_not_here_is_compared_all_the_same(
    two: tuple[Record, Record],
) -> None:
    first, second = two
    away = replace(first, tags={**first.tags, "mlflow.source.git.commit": "0" * 40})
    images, train = data(away, second).outputs
    assert len(files(images)) == 3 and train.size_before == 12  # from the cache


def test_an_undone_write_shows_nothing(two: tuple[Record, Record], versions: Path) -> None:
    write_data(versions, TWO)
    assert data(two[1]).same is True
