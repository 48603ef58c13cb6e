"""`mlflow-dvc diff`: what it prints, its JSON and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import Git
from lineage.making import made

from cli.conftest import Command
from mlflow_dvc_plugin.lineage.record import Record


@pytest.fixture
def two(versions: Path, tracking_sqlite: str, git: Git) -> tuple[Record, Record]:
    """Return a run on each of the branches `main` and `two`."""
    first = made(lr="0.1")
    git("checkout", "-q", "two")
    return first, made("\x1b[31mred", lr="0.2", depth="[bold]3")


def test_everything_that_differs_is_named(command: Command, two: tuple[Record, Record]) -> None:
    done = command("diff", two[0].run_id, two[1].run_id[:12], "--files")
    assert done.code == 0 and done.err == ""
    for line in (
        f"first   {two[0].run_id}  run  Default  ",
        f'second  {two[1].run_id}  "\\u001b[31mred"  Default  ',
        "code: 3 files, +4 -4 lines\n", "  moved     code.py => other.py  +0 -0\n",
        "  commits: 1 only in the first (<), 2 only in the second (>)", " code on main\n",
        "data: different\n", "  changed   data/images  ",
        "1 file added (7 bytes), 1 file removed (17 bytes), 1 file changed (17 bytes -> 12 bytes), "
        "1 the same\n",
        "added     sub/owl.png  7 bytes\n", "changed   cat.png  17 bytes -> 12 bytes\n",
        "  changed   data/train.csv  ", "  12 bytes -> 8 bytes\n",
        "parameters: 2 different\n  name   first  second\n  depth  -      [bold]3\n",
        "metrics: 1 different\n",
    ):  # fmt: skip
        assert line in done.out, done.out
    assert "\x1b" not in done.out


def test_with_one_run_the_worktree_is_the_other_side(
    command: Command, two: tuple[Record, Record], versions: Path
) -> None:
    done = command("diff", two[1].run_id, "--exit-code")
    assert (done.code, done.err) == (0, "")
    assert "second  what is here now" in done.out
    assert "code: the same" in done.out and "data: the same" in done.out
    (versions / "fresh.py").write_text("1\n")
    done = command("diff", two[1].run_id, "--exit-code", "--patch")
    assert done.code == 1
    assert (
        "  added     fresh.py  +1 -0  (untracked)" in done.out
        and "+++ b/fresh.py\n@@ -0,0 +1 @@\n+1" in done.out
    )
    assert command("diff", two[1].run_id).code == 0
    assert command("diff", two[1].run_id, "--exit-code", "--only", "data").code == 0


def test_what_is_not_known_to_be_the_same_is_no_success(
    command: Command, two: tuple[Record, Record]
) -> None:
    import mlflow

    first = two[0]
    client = mlflow.MlflowClient()
    client.set_tag(first.run_id, "git.dirty", "true")
    client.delete_tag(first.run_id, "git.tree")
    done = command("diff", first.run_id, first.run_id, "--exit-code")
    assert done.code == 1 and "code: unknown" in done.out
    assert "its tree was not kept" in done.out and "data: the same" in done.out
    assert command("diff", first.run_id, first.run_id).code == 0


def test_json_holds_everything(command: Command, two: tuple[Record, Record]) -> None:
    import mlflow

    mlflow.MlflowClient().log_metric(two[1].run_id, "loss", float("nan"))
    done = command("diff", two[0].run_id, two[1].run_id, "--json", "--patch")
    found = json.loads(done.out, parse_constant=pytest.fail)
    assert found["same"] is False and found["first"]["run_id"] == two[0].run_id
    assert found["code"]["commits"]["only_second"] == 2 and "diff --git" in found["code"]["patch"]
    assert {one["path"]: one["kind"] for one in found["code"]["files"]} == {
        "other.py": "moved", "data/images.dvc": "changed", "data/train.csv.dvc": "changed",
    }  # fmt: skip
    images = found["data"]["outputs"][0]
    assert images["path"] == "data/images" and len(images["files"]) == 3
    assert {"name": "lr", "first": "0.1", "second": "0.2"} in found["params"]
    assert found["metrics"] == [{"name": "loss", "first": 1.0, "second": "nan"}]
    one = json.loads(command("diff", two[1].run_id, "--json", "--only", "data").out)
    assert one["second"] is None and one["code"] is None and one["data"]["same"] is True


def test_a_run_that_is_not_there_is_an_error(command: Command, two: tuple[Record, Record]) -> None:
    done = command("diff", two[0].run_id, "0" * 32)
    assert done.code == 1 and done.err.startswith("error: there is no run") and not done.out
    assert command("diff").code == 2
    assert command("diff", two[0].run_id, "--only", "everything").code == 2
