"""Links of objects that nobody has read, where more than the objects is unusual."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Dvc, Git

from lineage.making import keep, made
from lineage.restoring import bring
from lineage.unread import FILES, FOLDER, NEEDS_TWO, alone, each, forget, is_back, object_of, run
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.record import Record

__all__ = ["alone", "each", "run"]

pytestmark = [NEEDS_TWO, pytest.mark.usefixtures("alone", "each")]


@pytest.fixture
def elsewhere(
    repo: Path, tracking_sqlite: str, git: Git, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> Record:
    """A run whose data is at the remote alone, and a checkout that has no DVC."""
    settings = repo.parent / "settings"
    settings.mkdir()
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(settings))
    keep(repo, FOLDER, FILES, git, dvc)
    dvc("push", "--quiet")
    run = made()
    (settings / "config").write_text("[cache]\n    type = hardlink\n")
    git("checkout", "-q", "--orphan", "bare")
    git("rm", "-rqf", "--cached", ".")
    for path in repo.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    git("commit", "-qm", "bare", "--allow-empty")
    forget(repo)
    return run


@pytest.mark.parametrize("how", ["missing", "damaged", "whole"])
def test_objects_that_wait_for_a_cache_are_read_before(
    repo: Path, elsewhere: Record, how: str
) -> None:
    """The first try has brought all but one object into Git's folder."""
    md5 = hashlib.md5(FILES["one.csv"]).hexdigest()
    remote = next((repo.parent / "remote").rglob(md5[2:]))
    aside = remote.rename(repo.parent / "aside")
    assert len(bring(elsewhere, to="../back").missing) == 1
    shutil.copy(aside, remote)
    forget(repo)
    if how != "missing":
        place = repo / ".git/mlflow-dvc/waiting/%/files/md5" / md5[:2] / md5[2:]
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(b"x\n9\n" if how == "damaged" else FILES["one.csv"])
        place.chmod(0o444)
    outcome = bring(elsewhere, to="../back")
    assert outcome.whole and is_back(repo)
    assert outcome.fetched == (0 if how == "whole" else 1)


@pytest.mark.parametrize("known", [False, True])
def test_a_name_that_cannot_be_written_leaves_nothing(
    repo: Path, run: Record, git: Git, known: bool
) -> None:
    rows = [{"md5": hashlib.md5(data).hexdigest(), "relpath": name} for name, data in FILES.items()]
    rows.insert(2, {"md5": rows[1]["md5"], "relpath": "\ud800x"})
    text = json.dumps(rows).encode()
    name = f"{hashlib.md5(text).hexdigest()}.dir"
    listing = object_of(repo, text).with_name(f"{name[2:]}")
    listing.parent.mkdir(exist_ok=True)
    listing.write_bytes(text)
    metadata = repo / f"{FOLDER}.dvc"
    before = re.findall(r"\w+\.dir", metadata.read_text())[0]
    metadata.write_text(metadata.read_text().replace(before, name))
    commits = [git("rev-parse", "HEAD"), git("rev-parse", "HEAD^{tree}")]
    git("commit", "-qam", "odd")
    new = {before: name, commits[0]: git("rev-parse", "HEAD")}
    new[commits[1]] = git("rev-parse", "HEAD^{tree}")
    if known:
        assert bring(run, to="../before").whole
        records = repo / ".git/mlflow-dvc/objects"
        (records / before).rename(records / name)
    tags = dict(run.tags)
    for old, text_now in new.items():
        tags = {key: value.replace(old, text_now) for key, value in tags.items()}
    with pytest.raises(MlflowDvcError, match="a name in it cannot be written"):
        bring(replace(run, tags=tags), to="../back")
    assert not (repo.parent / "back").exists()
    assert len(git("worktree", "list").splitlines()) == 1 + known
