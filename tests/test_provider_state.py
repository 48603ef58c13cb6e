"""Our own state, DVC's configuration, files that never answer: a run starts all the same."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from providing import let_go, tags


@pytest.mark.parametrize(
    "name",
    [".git/HEAD", ".git/commondir", "pyproject.toml", ".dvc/config", ".dvc/config.local",
     ".dvcignore", "data/images/.dvcignore", ".dvc/tmp/mlflow-dvc/state"],
)  # fmt: skip
def test_a_file_that_never_answers_is_left_behind(
    repo: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A FIFO stands for a file on a dead network mount: opening it never returns."""
    tags()
    (repo / name).unlink(missing_ok=True)
    os.mkfifo(repo / name)
    monkeypatch.setenv("MLFLOW_DVC_BUDGET", "1")
    answers: list[dict[str, str]] = []
    asking = threading.Thread(target=lambda: answers.append(tags()), daemon=True)
    asking.start()
    asking.join(15)  # the budget is a second; the rest is a busy machine
    hangs = asking.is_alive()
    let_go(repo / name)
    asking.join(15)
    assert not hangs, "tags() did not come back"
    assert answers[0], "there was an answer, but no tags"


# ---- our own state, DVC's configuration ----


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\0", b"[]", b"null", b'{"outputs": 3}',
     b'{"outputs": {"md5 data/train.csv": 3}}', b"[" * 100_000],
)  # fmt: skip
def test_a_corrupt_state_file_costs_nothing_but_time(repo: Path, content: bytes) -> None:
    expected = tags()
    (state,) = (repo / ".dvc/tmp").rglob("state")
    state.write_bytes(content)
    assert tags() == expected
    assert json.loads(state.read_text().partition("\n")[0])["version"]


def test_a_state_file_with_wrong_parts_costs_nothing_but_time(repo: Path) -> None:
    expected = tags()
    (state,) = (repo / ".dvc/tmp").rglob("state")
    text, _, digest = state.read_text().partition("\n")
    whole = json.loads(text)
    for part in [name for name in whole if name != "version"]:
        for wrong in (None, 3, "x", [], {}, {"md5 data/train.csv": [1, 2]}, {"files": 3}, [[], 3]):
            state.write_text(json.dumps({**whole, part: wrong}) + "\n" + digest)
            assert tags() == expected, (part, wrong)


@pytest.mark.parametrize("kind", ["folder", "loop"])
def test_a_state_file_that_is_no_file_costs_nothing_but_time(repo: Path, kind: str) -> None:
    expected = tags()
    (state,) = (repo / ".dvc/tmp").rglob("state")
    state.unlink()
    {"folder": os.mkdir, "loop": lambda at: os.symlink(at, at)}[kind](state)
    assert tags() == expected


@pytest.mark.parametrize(
    "content",
    [b"\0\xff garbage", b"[core", b"remote = x\n", b"[core]\nremote\n",
     b"[core]\n    remote = gone\n", b"[" * 10_000,
     b"['remote \"x\"']\nurl = a\nurl = b\n[core]\nremote = X\n"],
)  # fmt: skip
def test_garbage_in_dvcs_configuration_costs_the_remote_only(repo: Path, content: bytes) -> None:
    expected = tags()
    (repo / ".dvc/config").write_bytes(content)
    found = tags()
    assert found["dvc.hash"] == expected["dvc.hash"] and found["dvc.status"] == "clean"
