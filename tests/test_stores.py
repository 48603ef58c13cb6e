"""On every store and in every repository, `start_run` succeeds and its tags find the run."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import Any

import mlflow
import pytest
from conftest import Git
from hostile import track
from mlflow.entities import Run
from mlflow.utils.search_utils import SearchUtils
from tagrules import assert_every_store_takes, ours


@pytest.fixture
def experiment(store: str) -> str:
    """Make an experiment of the test's own: the servers are shared."""
    return str(mlflow.set_experiment(uuid.uuid4().hex).experiment_id)


# Parts of a key that MLflow's parser takes for SQL, in any case, and numbers: `data/2024.csv`.
NEEDS_BACKTICKS = re.compile(r"(?i)(.*\.)?(as|case|from|in|using|values|\d[^.]*)(\..*)?")


def typed(key: str) -> str:
    """Return the key as a user types it into the search box: in backticks only where he must."""
    plain = re.fullmatch(r"[A-Za-z0-9_.]+", key) and not NEEDS_BACKTICKS.fullmatch(key)
    return f"tags.{key}" if plain else f"tags.`{key}`"


def start(experiment: str, **options: Any) -> Run:
    with mlflow.start_run(**options) as started:
        assert started.info.experiment_id == experiment
    return mlflow.get_run(started.info.run_id)


def found(experiment: str, query: str) -> list[str]:
    """Return the ids of the runs that a filter, typed as it stands, finds."""
    runs = mlflow.search_runs([experiment], filter_string=query, output_format="list")
    return [run.info.run_id for run in runs]


def test_a_run_starts_in_a_hostile_repository_on_every_store(
    hostile: str, experiment: str, repo: Path, git: Git
) -> None:
    run = start(experiment)
    tags = ours(run.data.tags)
    assert_every_store_takes(tags)
    assert tags["mlflow.source.git.commit"] == git("rev-parse", "HEAD")
    assert tags["git.dirty"] == tags["mlflow.source.git.dirty"] == str(hostile == "dirty").lower()
    assert tags["dvc.schema"] == "1"
    assert ("dvc.hash" in tags) == (tags["dvc.status"] != "unknown")


def test_every_tag_finds_its_run_as_typed_into_the_search_box(
    hostile: str, experiment: str, repo: Path
) -> None:
    run = start(experiment)
    start(experiment, tags=dict.fromkeys(ours(run.data.tags), "other"))
    tried = 0
    for key, value in ours(run.data.tags).items():
        if "'" in value and '"' in value:  # MLflow's filters have no escape
            continue
        quote = '"' if "'" in value else "'"
        assert found(experiment, f"{typed(key)} = {quote}{value}{quote}") == [run.info.run_id], key
        tried += 1
    assert tried >= 6


@pytest.mark.skipif(
    "IS NULL" not in SearchUtils.VALID_TAG_COMPARATORS, reason="this MLflow has no IS NULL"
)
def test_runs_with_and_without_the_tags_are_told_apart(experiment: str, repo: Path) -> None:
    tagged = start(experiment).info.run_id
    untagged = mlflow.MlflowClient().create_run(experiment).info.run_id
    assert found(experiment, "tags.dvc.schema IS NOT NULL") == [tagged]
    assert found(experiment, "tags.dvc.schema IS NULL") == [untagged]


@pytest.mark.parametrize("path", ["data/2024.csv", "in/x.csv", "Values.csv", "a/from", "1/x"])
def test_a_number_or_an_sql_word_in_a_path_needs_backticks(
    path: str, repo: Path, tracking_sqlite: str
) -> None:
    track(repo, path)
    run = start("0")
    key = "dvc." + path.replace("/", ".")
    md5 = run.data.tags[key]
    with pytest.raises(mlflow.exceptions.MlflowException, match="Invalid clause"):
        found("0", f"tags.{key} = '{md5}'")
    assert typed(key) == f"tags.`{key}`"
    assert found("0", f"{typed(key)} = '{md5}'") == [run.info.run_id]


def test_runs_are_found_by_commit_and_by_data_as_a_user_types_it(
    experiment: str, repo: Path, git: Git
) -> None:
    first = start(experiment)
    (repo / "data/train.csv").write_text("x,y\n5,6\n")
    second = start(experiment)
    md5 = first.data.tags["dvc.data.train.csv"]
    commit = git("rev-parse", "HEAD")
    assert md5 in (repo / "data/train.csv.dvc").read_text()
    one, two = first.info.run_id, second.info.run_id
    assert found(experiment, f"tags.dvc.data.train.csv = '{md5}'") == [one]
    assert found(experiment, f"tags.dvc.data.train.csv != '{md5}'") == [two]
    assert found(experiment, f"tags.dvc.hash = '{first.data.tags['dvc.hash']}'") == [one]
    assert found(experiment, "tags.dvc.status = 'modified'") == [two]
    assert set(found(experiment, f"tags.mlflow.source.git.commit = '{commit}'")) == {one, two}
    assert set(found(experiment, f"tags.mlflow.source.git.commit LIKE '{commit[:7]}%'")) == {
        one,
        two,
    }
    assert found(experiment, f"tags.dvc.manifest LIKE '%{md5}%' AND tags.dvc.status = 'clean'") == [
        one
    ]


def test_the_manifest_of_a_small_project_is_whole_json(experiment: str, repo: Path) -> None:
    tags = start(experiment).data.tags
    manifest = json.loads(tags["dvc.manifest"])
    assert list(manifest) == ["data/images", "data/train.csv"]
    assert manifest["data/images"] == tags["dvc.data.images"]
    assert manifest["data/images"].endswith(".dir")


def test_a_stage_address_that_is_no_text_does_not_stop_a_run(
    experiment: str, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_STAGE", "st\udcffage\nwith lines" + "x" * 9000)
    monkeypatch.setenv("DVC_EXP_NAME", "\udcff\n" + "y" * 9000)
    assert_every_store_takes(ours(start(experiment).data.tags))


def test_the_users_own_tags_win(experiment: str, repo: Path) -> None:
    mine = {"dvc.hash": "mine", "git.dirty": "mine", "mlflow.source.git.commit": "mine"}
    tags = start(experiment, tags=mine).data.tags
    assert {key: tags[key] for key in mine} == mine
    assert tags["dvc.schema"] == "1"


def test_no_message_of_ours_breaks_a_log(
    hostile: str,
    repo: Path,
    tracking_sqlite: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A log file in UTF-8 cannot hold a lone surrogate; a newline would look like a record."""
    (repo / "data/train.csv.dvc").write_text("outs: [")
    monkeypatch.setenv("DVC_STAGE", "st\udcffage\n\x1b[31mred")
    with mlflow.start_run():
        pass
    messages = [record.getMessage() for record in caplog.records if "mlflow" in record.name]
    assert [message for message in messages if not message.isprintable()] == []
