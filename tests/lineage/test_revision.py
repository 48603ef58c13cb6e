"""What a commit states is what a run made from it carries."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Git

from lineage.making import made
from mlflow_dvc_plugin.dvcrepo.remote import open_store
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.lineage.listings import Listings
from mlflow_dvc_plugin.lineage.revision import Revisions, commit_id


def test_a_clean_run_carries_what_its_commit_states(
    versions: Path, git: Git, tracking_sqlite: str
) -> None:
    revisions = Revisions(str(versions))
    for branch in ("main", "two"):
        git("checkout", "-q", branch)
        run = made()
        stated = revisions.at(commit_id(str(versions), branch))
        assert run.commit == stated.commit and run.dirty is False
        assert run.manifest == {path: out.hash for path, out in stated.outputs.items()}
        assert set(stated.roots.values()) == {""}


def test_a_revision_that_is_not_here_is_named(repo: Path, git: Git, tmp_path: Path) -> None:
    for rev in ("nobody", "0" * 40, "--all", ""):
        with pytest.raises(MlflowDvcError, match="no commit"):
            commit_id(str(repo), rev)
    (repo / "more").write_text("")
    git("add", "more")
    git("commit", "-qm", "more")
    git("clone", "-q", "--depth=1", repo.as_uri(), str(tmp_path / "shallow"))
    with pytest.raises(MlflowDvcError) as caught:
        commit_id(str(tmp_path / "shallow"), git("rev-parse", "HEAD~1"))
    assert caught.value.hint == "git fetch --unshallow"


def test_a_listing_comes_from_the_cache_or_the_remote(repo: Path) -> None:
    out = Revisions(str(repo)).at(commit_id(str(repo), "HEAD")).outputs["data/images"]
    assert out.hash
    listing = Listings(open_store(str(repo))).get(out.hash, legacy=False)
    assert listing is not None and sorted(listing) == ["cat.png", "dog.png", "fox.png"]
    cached = repo / ".dvc/cache/files/md5" / out.hash[:2] / out.hash[2:]
    cached.chmod(0o644)
    cached.write_text("[]")
    assert Listings(open_store(str(repo))).get(out.hash, legacy=False) == listing
    (repo.parent / "remote/files/md5" / out.hash[:2] / out.hash[2:]).unlink()
    nowhere = Listings(open_store(str(repo)))
    assert nowhere.get(out.hash, legacy=False) is None
    assert "neither the cache nor DVC remote 'local'" in nowhere.failed[out.hash]
