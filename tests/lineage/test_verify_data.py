"""Where a run's data is: in the cache, and on the DVC remote that it belongs to."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import Dvc, Git

from lineage.making import made
from lineage.verifying import Verify, object_in
from mlflow_dvc_plugin.cli import main
from mlflow_dvc_plugin.lineage.store import open_client


@pytest.fixture(autouse=True)
def _store(tracking_sqlite: str) -> None:
    """Keep the runs in a store of the test's own."""


@pytest.fixture
def pipeline(repo: Path, origin: Path, git: Git, dvc: Dvc) -> Path:
    """Return a project in which outputs are kept in every way that DVC knows."""
    (repo / "dvc.yaml").write_text(
        "stages:\n  make:\n    cmd: for i in kept unpushed small; do echo $i > $i.txt; done\n"
        "    outs:\n      - kept.txt\n      - unpushed.txt: {push: false}\n"
        "      - small.txt: {cache: false}\n"
    )
    dvc("repro", "--quiet")
    dvc("push", "--quiet")
    git("add", "--all")
    git("commit", "-qm", "pipeline")
    git("push", "-q", "origin", "main")
    return repo


def test_what_dvc_never_pushes_is_only_here(pipeline: Path, verify: Verify) -> None:
    run = made()
    assert run.manifest and "unpushed.txt" in run.manifest
    code, verdict, why = verify(run.run_id)
    assert (code, verdict) == (0, "only here") and "push: false" in why
    object_in(pipeline / ".dvc/cache", run.manifest["unpushed.txt"]).unlink()
    assert verify(run.run_id)[:2] == (1, "broken")


def test_what_dvc_does_not_keep_is_as_safe_as_the_commit_that_has_it(
    pipeline: Path, verify: Verify, git: Git, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made()
    assert _place(run.run_id, "small.txt", capsys) == ("reproducible", None)
    git("rm", "-q", "--cached", "small.txt")
    (pipeline / ".gitignore").write_text("*.txt\n")
    git("commit", "-qam", "not in Git any more")
    verdict, why = _place(made().run_id, "small.txt", capsys)
    assert verdict == "unknown" and "cache: false" in (why or "")


def _place(run_id: str, path: str, capsys: pytest.CaptureFixture[str]) -> tuple[str, str | None]:
    capsys.readouterr()
    main(["verify", run_id, "--json"])
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    (one,) = [one for one in run["promises"] if one["name"] == path]
    return one["verdict"], one["reason"]


def test_an_output_is_looked_for_on_its_own_remote(
    repo: Path, verify: Verify, git: Git, dvc: Dvc, origin: Path
) -> None:
    dvc("remote", "add", "--quiet", "Other", "../other")
    metadata = repo / "data/train.csv.dvc"
    metadata.write_text(metadata.read_text() + "  remote: Other\n")
    git("commit", "-qam", "on another remote")
    git("push", "-q", "origin", "main")
    run = made()
    assert verify(run.run_id) == (0, "only here", "it is not on DVC remote 'other'")
    dvc("push", "--quiet")
    assert verify(run.run_id) == (0, "reproducible", "")
    dvc("remote", "rename", "--quiet", "local", "renamed")  # today's name is not the commit's
    assert verify(run.run_id) == (0, "reproducible", "")


def test_objects_of_dvc_2_are_looked_for_where_they_are(
    repo: Path, verify: Verify, origin: Path, git: Git, tracking_sqlite: str
) -> None:
    metadata = repo / "data/train.csv.dvc"
    metadata.write_text(metadata.read_text().replace("  hash: md5\n", ""))
    git("commit", "-qam", "as DVC 2 writes it")
    git("push", "-q", "origin", "main")
    run = made()
    assert run.manifest
    value = run.manifest["data/train.csv"]
    code, verdict, _ = verify(run.run_id)
    assert (code, verdict) == (1, "broken")
    old = repo.parent / "remote" / value[:2] / value[2:]
    old.parent.mkdir(exist_ok=True)
    shutil.move(object_in(repo.parent / "remote", value), old)
    assert verify(run.run_id) == (0, "reproducible", "")


def test_an_import_is_the_other_repositorys_to_keep(
    repo: Path, verify: Verify, git: Git, dvc: Dvc, origin: Path
) -> None:
    source = repo.parent / "source"
    shutil.copytree(repo, source)
    (source / "data/other.csv").write_text("other\n")
    dvc("add", "--quiet", "data/other.csv", cwd=source)
    git("add", "--all", cwd=source)
    git("commit", "-qm", "other", cwd=source)
    dvc("import", "--quiet", str(source), "data/other.csv", "--out", "imported.csv", cwd=repo)
    git("add", "--all")
    git("commit", "-qm", "import")
    git("push", "-q", "origin", "main")
    code, verdict, why = verify(made().run_id)
    assert (code, verdict) == (2, "unknown") and f"imported from {source}" in why


def test_without_a_dvc_remote_data_is_only_here_unless_the_run_had_one(
    pipeline: Path, verify: Verify, git: Git, dvc: Dvc
) -> None:
    before = made().run_id
    dvc("remote", "remove", "--quiet", "local")
    git("commit", "-qam", "no remote")
    git("push", "-q", "origin", "main")
    code, verdict, why = verify(before)
    assert (code, verdict) == (2, "unknown") and "the run's was" in why
    code, verdict, why = verify(made().run_id)
    assert (code, verdict) == (0, "only here") and "there is no DVC remote" in why
    (pipeline / ".dvc/config").write_text("[core\n")
    assert verify(before)[:2] == (2, "unknown")


def test_bytes_that_nobody_kept_break_the_run(
    repo: Path, verify: Verify, origin: Path, tracking_sqlite: str
) -> None:
    (repo / "data/train.csv").unlink()
    (repo / "data/train.csv").write_text("edited by hand\n")
    run = made()
    assert run.tags["dvc.status"] == "modified"
    assert verify(run.run_id)[:2] == (1, "broken")


def test_a_hostile_listing_is_not_followed(
    repo: Path, verify: Verify, origin: Path, tracking_sqlite: str
) -> None:
    import hashlib

    text = b'[{"md5": "../../../../etc/passwd", "relpath": "../x"}]'
    value = hashlib.md5(text).hexdigest() + ".dir"
    there = object_in(repo.parent / "remote", value)
    there.parent.mkdir(exist_ok=True)
    there.write_bytes(text)
    run = made()
    open_client().set_tag(run.run_id, "dvc.manifest", json.dumps({"data/images": value}))
    code, verdict, why = verify(run.run_id, "--deep")
    assert (code, verdict) == (2, "unknown") and "names what is no hash" in why
