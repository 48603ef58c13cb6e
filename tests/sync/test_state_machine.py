"""Random sequences of Git operations and data edits: nothing is lost, nothing is silently wrong.

Beside the project stands its shadow: the same Git operations without hooks. What the hooks leave of
HEAD, index, stash and worktree has to be what plain Git leaves.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml
from conftest import Dvc, Git
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from versions import data_in

from mlflow_dvc_plugin.gitdir import find_worktree
from mlflow_dvc_plugin.sync.events import state_folder
from mlflow_dvc_plugin.sync.ledger import Ledger

FILES = ("data/train.csv", "data/images/cat.png", "data/images/new.png")
OUTPUTS = {"data/train.csv": "data/train.csv.dvc", "data/images": "data/images.dvc"}
SIDES = ("real", "shadow")
WHERE = ("project", "linked")
PLACES = st.sampled_from(WHERE)
BRANCH = st.sampled_from(["main", "two", "three", "four"])
DATE = "2026-01-01T00:00:00Z"
QUESTIONS = (
    ("rev-parse", "HEAD"), ("ls-files", "-s"), ("status", "--porcelain", "-uno"),
    ("stash", "list"), ("symbolic-ref", "-q", "--short", "HEAD"), ("ls-files", "-o", "*.dvc"),
)  # fmt: skip


def machine(template: Path, git: Git, dvc: Dvc) -> type[RuleBasedStateMachine]:
    """Return the machine over copies of the project."""
    count = itertools.count()

    class Project(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.top = Path(tempfile.mkdtemp(prefix="mlflow-dvc-machine-"))
            for side in SIDES:
                shutil.copytree(template, self.top / side, symlinks=True)
            shutil.rmtree(self.top / "shadow/project/.git/hooks")
            self.written: set[str] = set()
            # What the metadata said when a person changed the data below it.
            self.edited: dict[tuple[str, str], bytes | None] = {}
            self.both("project", "worktree", "add", "-q", "../linked", "four")

        def teardown(self) -> None:
            shutil.rmtree(self.top, ignore_errors=True)

        def both(self, where: str, *args: str) -> None:
            env = {**os.environ, "GIT_COMMITTER_DATE": DATE, "GIT_AUTHOR_DATE": DATE}
            codes = [
                subprocess.run(["git", *args], cwd=self.top / side / where, env=env, check=False,
                               capture_output=True, timeout=60).returncode
                for side in SIDES
            ]  # fmt: skip
            assert codes[0] == codes[1], args

        def note(self, where: str, path: str) -> None:
            out = next(out for out in OUTPUTS if path.startswith(out))
            self.edited[where, out] = _read(self.top / "real" / where / OUTPUTS[out])

        @rule(where=PLACES, path=st.sampled_from(FILES), again=st.booleans())
        def edit(self, where: str, path: str, again: bool) -> None:
            text = "again\n" if again else f"text {next(count)}\n"
            file = self.top / "real" / where / path
            if not file.parent.is_dir():
                return
            if file.exists():
                self.written.discard(file.read_text())  # the person's own overwriting
                file.unlink()  # as editors do; a link into the cache is not written through
            file.write_text(text)
            self.written.add(text)
            self.note(where, path)

        @rule(where=PLACES, path=st.sampled_from(FILES))
        def delete(self, where: str, path: str) -> None:
            file = self.top / "real" / where / path
            if file.exists():
                self.written.discard(file.read_text())
                file.unlink()
                self.note(where, path)

        @rule(where=PLACES, out=st.sampled_from(sorted(OUTPUTS)))
        def add(self, where: str, out: str) -> None:
            folder, source = self.top / "real" / where, OUTPUTS[out]
            if not (folder / out).exists() or b"<<<<" in (_read(folder / source) or b"<<<<"):
                return
            dvc("add", "--quiet", out, cwd=folder)
            self.edited.pop((where, out), None)
            shutil.copyfile(folder / source, self.top / "shadow" / where / source)

        @rule(where=PLACES)
        def commit(self, where: str) -> None:
            self.both(where, "commit", "-qam", "work")

        @rule(where=PLACES)
        def amend(self, where: str) -> None:
            self.both(where, "commit", "-qa", "--amend", "--no-edit", "--allow-empty")

        @rule(where=PLACES, branch=BRANCH)
        def checkout(self, where: str, branch: str) -> None:
            self.both(where, "checkout", "-q", branch)

        @rule(where=PLACES, branch=BRANCH)
        def detach(self, where: str, branch: str) -> None:
            self.both(where, "checkout", "-q", "--detach", branch)

        @rule(where=PLACES, branch=BRANCH)
        def reset(self, where: str, branch: str) -> None:
            self.both(where, "reset", "-q", "--hard", branch)

        @rule(
            where=PLACES, branch=BRANCH, side=st.sampled_from(["ours", "theirs"]),
            what=st.sampled_from(["merge --no-edit", "rebase", "cherry-pick", "revert --no-edit"]),
        )  # fmt: skip
        def integrate(self, where: str, branch: str, side: str, what: str) -> None:
            self.both(where, *what.split(), "-X", side, branch)

        @rule(where=PLACES, branch=BRANCH)
        def merge_and_stop_where_it_conflicts(self, where: str, branch: str) -> None:
            self.both(where, "merge", "-q", "--no-edit", branch)

        @rule(where=PLACES, what=st.sampled_from(["merge", "rebase", "cherry-pick", "revert"]))
        def abort(self, where: str, what: str) -> None:
            self.both(where, what, "--abort")

        @rule(where=PLACES, untracked=st.booleans())
        def stash(self, where: str, untracked: bool) -> None:
            self.both(where, "stash", "-q", *(["-u"] if untracked else []))

        @rule(where=PLACES)
        def pop(self, where: str) -> None:
            self.both(where, "stash", "pop", "-q")

        @rule(where=PLACES, out=st.sampled_from(sorted(OUTPUTS)), branch=BRANCH)
        def take(self, where: str, out: str, branch: str) -> None:
            self.both(where, "checkout", "-q", branch, "--", OUTPUTS[out])

        @invariant()
        def no_bytes_are_lost(self) -> None:
            real = self.top / "real"
            there = {text for where in WHERE for text in data_in(real / where).values()}
            for text in self.written - there:
                md5 = hashlib.md5(text.encode()).hexdigest()
                cached = real / "project/.dvc/cache/files/md5" / md5[:2] / md5[2:]
                assert cached.read_text() == text

        @invariant()
        def git_is_as_plain_git_leaves_it(self) -> None:
            for where, question in itertools.product(WHERE, QUESTIONS):
                real, shadow = (
                    subprocess.run(["git", *question], cwd=self.top / side / where, check=False,
                                   capture_output=True).stdout
                    for side in SIDES
                )  # fmt: skip
                assert real == shadow

        @invariant()
        def data_is_what_its_metadata_says_or_is_named(self) -> None:
            for where, out in itertools.product(WHERE, OUTPUTS):
                folder, source = self.top / "real" / where, OUTPUTS[out]
                worktree = find_worktree(str(folder))
                assert worktree
                named = Ledger.read(state_folder(worktree)).problems
                text = _read(folder / source)
                if out in named or source in named or self.edited.get((where, out), b"") == text:
                    continue
                assert _hash(folder / out) == _stated(folder / source), (where, out, named)

    return Project


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _hash(path: Path) -> str | None:
    if not path.exists():
        return None
    if path.is_file():
        return hashlib.md5(path.read_bytes()).hexdigest()
    rows = [
        {"md5": hashlib.md5(file.read_bytes()).hexdigest(),
         "relpath": file.relative_to(path).as_posix()}
        for file in sorted(path.rglob("*"), key=lambda one: one.relative_to(path).as_posix())
        if file.is_file()
    ]  # fmt: skip
    return hashlib.md5(json.dumps(rows).encode()).hexdigest() + ".dir"


def _stated(source: Path) -> str | None:
    if not source.exists():
        return None
    (out,) = yaml.safe_load(source.read_text())["outs"]
    return str(out["md5"])


@pytest.mark.slow
def test_random_work_loses_nothing(versions: Path, git: Git, dvc: Dvc, tmp_path: Path) -> None:
    git("branch", "three", "main~1")
    git("branch", "four", "main~1")
    (tmp_path / "template").mkdir()
    for name in ("project", "remote"):
        shutil.copytree(tmp_path / name, tmp_path / "template" / name, symlinks=True)
    run_state_machine_as_test(
        machine(tmp_path / "template", git, dvc),
        settings=settings(
            max_examples=int(os.environ.get("TESTS_EXAMPLES", "10")), stateful_step_count=16,
            deadline=None, suppress_health_check=list(HealthCheck), print_blob=True,
            derandomize="TESTS_EXAMPLES" not in os.environ,  # a campaign looks elsewhere each time
        ),
    )  # fmt: skip
