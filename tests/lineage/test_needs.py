"""What a run needs stands in its tags, and where that is kept in its commit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Dvc, Git

from lineage.making import made
from mlflow_dvc_plugin.lineage.needs import needs_of
from mlflow_dvc_plugin.lineage.revision import Revisions


@pytest.fixture
def revisions(repo: Path) -> Revisions:
    return Revisions(str(repo))


def test_inputs_and_products_are_told_apart(
    repo: Path, revisions: Revisions, tracking_sqlite: str, git: Git, dvc: Dvc
) -> None:
    (repo / "models").mkdir()
    (repo / "models/m.pkl").write_text("model")
    dvc("add", "--quiet", "models/m.pkl")
    git("add", "-A")
    git("commit", "-qm", "a model")
    run = made()
    assert [one.path for one in needs_of(run, revisions).needs] == ["data/images", "data/train.csv"]
    everything = needs_of(run, revisions, products=True)
    assert [one.path for one in everything.needs if one.product] == ["models/m.pkl"]
    assert not everything.unknown


def test_a_manifest_that_is_only_counted_is_rebuilt_and_proved(
    repo: Path, revisions: Revisions, tracking_sqlite: str
) -> None:
    run = made()
    tags = {key: value for key, value in run.tags.items() if key != "dvc.manifest"}
    counted = replace(run, tags={**tags, "dvc.manifest.count": "2"})
    assert needs_of(counted, revisions) == needs_of(run, revisions)
    other = needs_of(replace(counted, tags={**counted.tags, "dvc.hash": "0" * 32}), revisions)
    assert other.needs == () and "only count its 2 paths" in other.unknown["dvc.manifest"]


def test_what_is_not_known_is_named(repo: Path, revisions: Revisions, tracking_sqlite: str) -> None:
    run = made()
    elsewhere = replace(run, tags={**run.tags, "mlflow.source.git.commit": "0" * 40})
    found = needs_of(elsewhere, revisions)
    assert [one.hash for one in found.needs] == [one.hash for one in needs_of(run, revisions).needs]
    assert list(found.unknown) == ["commit 0000000000"]
    odd = replace(run, tags={**run.tags, "dvc.manifest": '{"/x":"../../etc/passwd"}'})
    assert needs_of(odd, revisions).needs == ()
