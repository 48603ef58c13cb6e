"""`mlflow-dvc runs` as a person types it."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import mlflow
import pytest
from conftest import Git

from .conftest import Command


def train(name: str, lr: float, loss: float, **metrics: float) -> str:
    with mlflow.start_run(run_name=name) as run:
        mlflow.log_params({"lr": lr, "seed": 1})
        mlflow.log_metrics({"loss": loss, **metrics})
    return str(run.info.run_id)


def rows(command: Command, *args: str) -> list[dict[str, Any]]:
    done = command("runs", *args, "--json")
    assert done.code in (0, 1), done.err
    found: list[dict[str, Any]] = json.loads(done.out)["runs"]
    return found


def test_a_commit_leads_to_its_runs_on_every_store(
    repo: Path, store: str, command: Command, git: Git
) -> None:
    only = uuid.uuid4().hex  # other tests leave runs of the same commit on the servers
    mlflow.set_experiment(only)
    first, second = train("first", 0.1, 3.0), train("second", 0.2, 2.0)
    for text in ("HEAD", "main", git("rev-parse", "--short", "HEAD")):
        found = rows(command, text, "--experiment", only)
        assert {row["run_id"] for row in found} == {first, second}
        assert {(row["match"], row["how"]) for row in found} == {("exact", "started")}
    for text in ("data/train.csv", "178ba857", "data/images/cat.png", "data/images@main"):
        assert {row["run_id"] for row in rows(command, text, "--experiment", only)} == {
            first,
            second,
        }, text
    assert rows(command, "0000000000", "--experiment", only) == []


def test_the_table_shows_what_differs(repo: Path, tracking_sqlite: str, command: Command) -> None:
    train("first", 0.1, 3.0)
    train("second", 0.2, 2.0)
    done = command("runs", "HEAD")
    assert done.code == 0, done.err
    heading, *lines = done.out.splitlines()
    assert heading.split() == [
        "run",
        "experiment",
        "start",
        "commit",
        "match",
        "data",
        "lr",
        "loss",
    ]
    assert len(lines) == 2 and "second" in lines[0] and " 0.2 " in lines[0] and "exact" in lines[0]
    done = command("runs", "data/train.csv")
    assert done.out.splitlines()[-1].split()[-2:] == ["now", "2"]


def test_sort_best_limit_and_metric(repo: Path, tracking_sqlite: str, command: Command) -> None:
    train("b", 0.1, 3.0)
    train("a", 10, 2.0, accuracy=0.5)
    train("c", 2, float("nan"))

    def names(*args: str) -> str:
        return "".join(row["name"] for row in rows(command, "HEAD", *args))

    assert names("--sort", "name") == "abc" and names("--sort", "name:desc") == "cba"
    assert names("--sort", "loss") == "abc" and names("--sort", "loss:desc") == "bac"
    assert names("--sort", "lr") == "bca" and names("--sort", "start") == "bac"
    assert names("--best", "loss:min") == "a" and names("--best", "loss:max") == "b"
    assert names("--best", "nothing:max") == "" and names("--sort", "loss", "--limit", "1") == "a"
    assert len(names("--limit", "2")) == 2 and names("--limit", "3") == "cab"
    assert "there are more" in command("runs", "HEAD", "--limit", "2").err
    assert "there are more" not in command("runs", "HEAD", "--limit", "3").err
    done = command("runs", "HEAD", "--metric", "accuracy")
    assert done.out.splitlines()[0].endswith(" accuracy") and " loss" not in done.out
    done = command("runs", "HEAD", "--best", "loss")
    assert done.code == 1 and "hint: --best loss:min" in done.err


def test_an_experiment_narrows_the_search(
    repo: Path, tracking_sqlite: str, command: Command
) -> None:
    train("default", 0.1, 3.0)
    mlflow.set_experiment("other")
    other = train("other", 0.1, 3.0)
    (row,) = rows(command, "HEAD", "--experiment", "other")
    assert (row["run_id"], row["experiment"]) == (other, "other")
    assert len(rows(command, "HEAD", "--experiment", "other", "--experiment", "Default")) == 2
    done = command("runs", "HEAD", "--experiment", "none")
    assert done.code == 1 and "no experiment 'none'" in done.err


def test_nothing_is_exit_code_1_and_a_deleted_run_is_named(
    repo: Path, tracking_sqlite: str, command: Command, git: Git
) -> None:
    done = command("runs", "HEAD")
    assert (done.code, done.out, done.err) == (1, "no run was found\n", "")
    git("commit", "-q", "--allow-empty", "-m", "more")
    hint = command("runs", "HEAD").err.removeprefix("note: for its history's: mlflow-dvc ")
    assert hint.split() == ["runs", "HEAD~1..HEAD"] and command(*hint.split()).code == 1
    run = train("gone", 0.1, 3.0)
    mlflow.delete_run(run)
    done = command("runs", "HEAD")
    assert done.code == 1 and f"mlflow runs restore --run-id {run}" in done.err


def test_a_commit_that_was_rebased_away_is_found_by_its_id(
    repo: Path, tracking_sqlite: str, command: Command, git: Git
) -> None:
    run = train("old", 0.1, 3.0)
    head = git("rev-parse", "HEAD")
    git("commit", "--amend", "-q", "-m", "other words")
    git("reflog", "expire", "--expire=now", "--all")
    git("gc", "-q", "--prune=now")
    for text in (head, head[:10]):
        done = command("runs", text, "--json")
        answer = json.loads(done.out)
        assert [row["run_id"] for row in answer["runs"]] == [run]
        assert answer["runs"][0]["match"] == "unknown" and not answer["complete"]
    (row,) = rows(command, "HEAD")
    assert (row["run_id"], row["how"]) == (run, "same tree")


def test_a_run_without_the_plugin_s_tags_is_unknown(
    repo: Path, tracking_sqlite: str, command: Command, git: Git
) -> None:
    head = git("rev-parse", "HEAD")
    mlflow.MlflowClient().create_run("0", tags={"mlflow.source.git.commit": head})
    (row,) = rows(command, "HEAD")
    assert row["match"] == "unknown" and "do not say" in row["differs"][0]
    assert " unknown: its tags" in command("runs", "HEAD").out


def test_now_asks_for_the_version_on_disk(
    repo: Path, tracking_sqlite: str, command: Command
) -> None:
    train("first", 0.1, 3.0)
    (repo / "data/train.csv").write_text("x,y\n")
    second = train("second", 0.1, 3.0)
    assert [row["run_id"] for row in rows(command, "data/train.csv", "--now")] == [second]
    assert len(rows(command, "data/train.csv")) == 2
    assert command("runs", "HEAD", "--now").code == 2


def test_outside_the_project_hashes_and_experiments_are_found(
    repo: Path, tracking_sqlite: str, command: Command, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "puffy-fogy")
    run = train("first", 0.1, 3.0)
    head = git("rev-parse", "HEAD")
    monkeypatch.chdir(repo.parent)
    for text in ("178ba857", "puffy-fogy", head):
        assert [row["run_id"] for row in rows(command, text)] == [run]
    done = command("runs", "nobody")
    assert done.code == 1 and done.err.startswith("error: 'nobody' is no commit")


def test_names_with_terminal_codes_are_shown_as_text(
    repo: Path, tracking_sqlite: str, command: Command
) -> None:
    train("\x1b[31mred[bold]", 0.1, 3.0)
    out = command("runs", "HEAD").out
    assert "\x1b" not in out and "red[bold]" in out


def test_a_server_that_goes_away_half_way_is_an_error_and_whole_json(
    repo: Path, tracking_sqlite: str, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    from mlflow_dvc_plugin.lineage import store

    monkeypatch.setattr(store, "_PAGE", 1)
    for number in range(3):
        train(f"run {number}", number, 1.0)
    ask, asked = SqlAlchemyStore.search_runs, []

    def search_runs(*args: Any, **rest: Any) -> Any:
        asked.append(args)
        if len(asked) % 4 == 3:
            raise OSError("the line is dead")
        return ask(*args, **rest)

    monkeypatch.setattr(SqlAlchemyStore, "search_runs", search_runs)
    done = command("runs", "HEAD", "--json")
    answer = json.loads(done.out)
    assert (
        done.code == 1 and "the line is dead" in done.err and "hint: mlflow-dvc doctor" in done.err
    )
    assert len(answer["runs"]) == 2 and not answer["complete"] and "dead" in answer["error"]
    asked.clear()
    done = command("runs", "HEAD")
    assert done.code == 1 and "run 2" in done.out and "the line is dead" in done.err
