"""Every verb that reads runs, with a tracking server that goes away before each of its answers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from conftest import Git
from cutline import NewLine
from lineage.making import made

from .conftest import Command, Done

_MANY = 40  # requests: no verb needs as many here
# What stands for the experiment and the runs is filled in.
VERBS = {
    "verify": "verify --experiment NAME",
    "registered": "verify --registered",
    "runs": "runs HEAD --experiment NAME",
    "file": "runs data/images/cat.png --experiment NAME",
    "show": "show RUN",
    "diff": "diff RUN OTHER",
    "push": "push RUN OTHER",
    "restore": "restore RUN --to there",
    "backfill": "backfill --experiment NAME --apply",
}


@pytest.mark.slow
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_lost_server_is_a_clear_error_wherever_it_goes_away(  # noqa: PLR0917
    verb: str, as_json: bool, repo: Path, git: Git, mlflow_server: str, line: NewLine,
    use_store: Callable[[str], str], command: Command, tmp_path: Path,
) -> None:  # fmt: skip
    git("init", "-q", "--bare", str(tmp_path / "up.git"))
    git("remote", "add", "origin", str(tmp_path / "up.git"))
    use_store(mlflow_server)
    experiment = uuid.uuid4().hex
    mlflow.set_experiment(experiment)
    run, other = made().run_id, made().run_id
    if verb == "registered":
        mlflow.MlflowClient().create_registered_model(experiment)
        mlflow.MlflowClient().create_model_version(experiment, "s3://nowhere/m", run_id=run)
    filled = {"NAME": experiment, "RUN": run, "OTHER": other}
    words = [filled.get(word, word) for word in VERBS[verb].split()]
    words += ["--json"] if as_json else []
    before = git("for-each-ref"), git("status", "--porcelain")
    for number in range(_MANY):
        cut = line(number)
        use_store(cut.uri)
        done = command(*words)
        if not cut.lost:
            break
        # verify: nothing is proved, and nothing is known to be broken
        assert_clear(done, 2 if words[0] == "verify" else 1, as_json)
        assert not (repo / "there").exists()
        assert (git("for-each-ref"), git("status", "--porcelain")) == before
    assert number > 1 and "error:" not in done.err, (number, done)


def assert_clear(done: Done, code: int, as_json: bool) -> None:
    assert done.code == code, done
    assert done.err.startswith("error: the tracking s") and "cannot be used" in done.err, done
    assert "\nhint: " in done.err and "Traceback" not in done.err + done.out
    if as_json and done.out:
        found = json.loads(done.out)
        assert found["complete"] is False and found["error"]
    assert "no run was found" not in done.out
