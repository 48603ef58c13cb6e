"""From data to runs: a path, a version of it, a hash, a file inside a directory."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import mlflow
import pytest
from conftest import Dvc, Git
from versions import ONE, TWO

from lineage.making import answered, made
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.hits import Answer


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def found(answer: Answer) -> set[tuple[str, str | None]]:
    """Return the names of the runs with the version of the data."""
    return {(hit.run.name, hit.version) for hit in answer.hits}


@pytest.fixture
def two(versions: Path, git: Git, tracking_sqlite: str) -> Path:
    """Make the run `one` on main and `two` on two, and be on main."""
    made("one")
    git("checkout", "-q", "two")
    made("two")
    git("checkout", "-q", "main")
    return versions


def test_a_path_leads_to_each_version_and_its_runs(two: Path) -> None:
    answer = answered("data/train.csv")
    first, second = md5(ONE["data/train.csv"]), md5(TWO["data/train.csv"])
    assert found(answer) == {("one", first), ("two", second)}
    assert [one.hash for one in answer.versions] == [second, first]
    assert answer.now == first and answer.complete


def test_a_path_at_a_revision_is_one_version(two: Path) -> None:
    for rev, name in (("main", "one"), ("two", "two"), ("main~1", "one")):
        assert {run for run, _ in found(answered(f"data/train.csv@{rev}"))} == {name}
    for rev in ("nobody", "--all"):
        with pytest.raises(MlflowDvcError, match="no commit"):
            answered(f"data/train.csv@{rev}")
    with pytest.raises(MlflowDvcError, match="no DVC data at other"):
        list(answered("other.csv@main").hits)


def test_a_version_that_was_never_committed_is_one(two: Path) -> None:
    (two / "data/train.csv").write_text("mine\n")
    made("mine")
    answer = answered("data/train.csv")
    assert ("mine", md5("mine\n")) in found(answer)
    last = answer.versions[-1]
    assert (last.hash, last.commit) == (md5("mine\n"), None) and answer.now == last.hash


def test_a_hash_and_its_beginning_lead_to_the_runs(two: Path) -> None:
    first = md5(ONE["data/train.csv"])
    for text in (first, first[:8]):
        assert found(answered(text)) == {("one", first)}
    answer = answered("data/images@two")
    assert {run for run, _ in found(answer)} == {"two"}
    out = answer.versions[0].hash
    for text in (out, out[:8]):
        assert found(answered(text)) == {("two", out)}
    assert found(answered("0" * 32)) == set()


def test_a_file_in_a_directory_is_found_by_its_name(two: Path) -> None:
    answer = answered("data/images/cat.png")
    first, second = md5(ONE["data/images/cat.png"]), md5(TWO["data/images/cat.png"])
    assert found(answer) == {("one", first), ("two", second)}
    assert answer.now == first and answer.complete
    assert {run for run, _ in found(answered("data/images/fox.png"))} == {"one"}
    assert {run for run, _ in found(answered("data/images/sub/owl.png@two"))} == {"two"}
    assert {run for run, _ in found(answered("data/images/sub@two"))} == {"two"}


def test_a_file_in_a_directory_is_found_by_its_content(two: Path) -> None:
    dog = md5(ONE["data/images/dog.png"])
    assert found(answered(dog)) == {("one", dog), ("two", dog)}
    owl = md5(TWO["data/images/sub/owl.png"])
    (hit,) = answered(owl[:10]).hits
    assert (hit.how, hit.path, hit.version) == ("member", "data/images/sub/owl.png", owl)


def test_a_listing_comes_from_the_remote_and_without_it_the_answer_is_incomplete(
    two: Path,
) -> None:
    remote = two.parent / "remote"
    shutil.rmtree(remote)
    (two / ".dvc/cache").rename(remote)
    dog = md5(ONE["data/images/dog.png"])
    answer = answered(dog)
    assert {run for run, _ in found(answer)} == {"one", "two"} and answer.complete
    shutil.rmtree(remote)
    for text in (dog, "data/images/dog.png"):
        answer = answered(text)
        assert found(answer) == set() and not answer.complete
        assert any("neither the cache nor DVC remote" in why for why in answer.gaps.values())
    with pytest.raises(MlflowDvcError, match="cannot be told"):
        list(answered("data/images/dog.png@main").hits)


def test_a_damaged_listing_is_not_believed(two: Path) -> None:
    shutil.rmtree(two.parent / "remote")
    for file in two.glob(".dvc/cache/files/md5/*/*.dir"):
        file.chmod(0o644)
        file.write_text(json.dumps([{"md5": md5("x"), "relpath": "x"}]))
    answer = answered(md5("x"))
    assert found(answer) == set() and not answer.complete


def test_many_states_of_the_data_are_all_looked_at(
    repo: Path, tracking_sqlite: str, dvc: Dvc
) -> None:
    for number in range(15):
        (repo / "data/images/new.png").write_text(f"{number}\n")
        dvc("add", "--quiet", "data/images")
        made(f"run {number}")
        made(f"again {number}")
    for number in (0, 14):
        names = {run for run, _ in found(answered(md5(f"{number}\n")))}
        assert names == {f"run {number}", f"again {number}"}
    assert len(found(answered(md5("picture of a cat\n")))) == 30


def test_odd_names_and_wildcards_find_only_themselves(
    repo: Path, git: Git, dvc: Dvc, tracking_sqlite: str
) -> None:
    names = ["data/a_b.csv", "data/a%b.csv", 'data/it\'s "odd".csv', "data/ü\\x.csv"]
    for name in names:
        (repo / name).write_text(name)
    dvc("add", "--quiet", *names)
    made("odd")
    for name in names:
        answer = answered(name)
        assert [hit.path for hit in answer.hits] == [name]


def test_a_run_with_an_unknown_version_makes_the_answer_incomplete(
    two: Path, tracking_sqlite: str
) -> None:
    import mlflow

    client = mlflow.MlflowClient()
    tags = {"dvc.changed": '["data/train.csv"]', "dvc.status": "unknown"}
    run = client.create_run("0", tags=tags).info.run_id
    for text in ("data/train.csv", md5(ONE["data/train.csv"])):
        answer = answered(text)
        assert len(list(answer.hits)) >= 1
        assert list(answer.gaps) == [f"run {run}"]


def test_a_manifest_that_is_chunked_or_counted_is_searched(two: Path) -> None:
    import mlflow

    client = mlflow.MlflowClient()
    (one,) = (hit.run for hit in answered("data/train.csv@main").hits)
    assert one.manifest
    manifest = one.tags["dvc.manifest"]
    plain = {key: value for key, value in one.tags.items() if key != "dvc.manifest"}
    for extra in (
        {"dvc.manifest.1": '{"a":"b"}', "dvc.manifest.2": manifest, "mlflow.runName": "chunked"},
        {"dvc.manifest.count": "2", "mlflow.runName": "counted"},
    ):
        client.create_run("0", tags={**plain, **extra})
    for text in ("data/train.csv@main", one.manifest["data/train.csv"], "data/images/fox.png"):
        assert {run for run, _ in found(answered(text))} == {"one", "chunked", "counted"}, text


def test_a_path_without_data_names_what_lies_below(two: Path) -> None:
    with pytest.raises(MlflowDvcError, match="no DVC data at data,") as caught:
        list(answered("data").hits)
    assert "mlflow-dvc runs ./data/images" in caught.value.hint
    with pytest.raises(MlflowDvcError, match="is not in"):
        answered("../remote")


def test_what_is_a_revision_and_a_path_is_refused(two: Path) -> None:
    (two / "two").write_text("")
    with pytest.raises(MlflowDvcError, match="both a revision and a path"):
        answered("two")


def test_data_that_only_the_past_has_is_found_by_its_path(two: Path, git: Git) -> None:
    git("rm", "-q", "data/train.csv.dvc")
    (two / "data/train.csv").unlink(missing_ok=True)
    git("commit", "-qm", "gone")
    answer = answered("data/train.csv")
    assert {run for run, _ in found(answer)} == {"one", "two"} and answer.now is None


def test_a_dvc_experiment_is_found_by_its_name(
    repo: Path, tracking_sqlite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "puffy-fogy")
    run = made()
    (hit,) = answered("puffy-fogy").hits
    assert (hit.run, hit.how) == (run, "experiment")
    with pytest.raises(MlflowDvcError, match="is no commit, range"):
        list(answered("nobody").hits)


def test_data_of_a_dvc_repository_in_a_subfolder_that_was_never_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, git: Git, dvc: Dvc, tracking_sqlite: str
) -> None:
    sub = tmp_path / "mono/sub"
    (sub / "data").mkdir(parents=True)
    git("init", "-q", cwd=tmp_path / "mono")
    dvc("init", "-q", "--subdir", cwd=sub)
    git("add", "-A", cwd=sub)
    git("commit", "-qm", "dvc", cwd=sub)
    (sub / "data/one.txt").write_text("one")
    monkeypatch.chdir(sub)
    dvc("add", "-q", "data")
    run = made()
    for text in ("data/one.txt", md5("one")):
        (hit,) = answered(text).hits
        assert (hit.run.run_id, hit.path) == (run.run_id, "sub/data/one.txt")


def test_a_list_that_was_too_long_for_its_tag_leaves_the_answer_incomplete(two: Path) -> None:
    (run,) = [hit.run for hit in answered("data/train.csv@two").hits]
    client = mlflow.MlflowClient()
    client.set_tag(run.run_id, "dvc.changed", '["a.csv","... and 70 more"]')
    answer = answered("data/train.csv")
    assert len(found(answer)) == 2 and answer.complete  # dvc.hash proves that all is known
    for key in ("dvc.hash", "dvc.manifest"):
        client.delete_tag(run.run_id, key)
    answer = answered("data/train.csv")
    assert {name for name, _ in found(answer)} == {"one"}
    assert answer.gaps[f"run {run.run_id}"] == "its tags do not name all data it used"
