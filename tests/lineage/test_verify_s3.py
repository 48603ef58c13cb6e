"""Data on S3 is asked for once over all runs, and 403 is unknown."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Git
from s3 import KEY, S3, SECRET
from s3proxy import Proxy
from s3users import Guarded
from sync.conftest import stored

from lineage.making import made
from lineage.verifying import Verify, put, use_bucket
from mlflow_dvc_plugin.cli import main


@pytest.fixture
def proxied(repo: Path, origin: Path, bucket: Path, proxy: Proxy, tracking_sqlite: str) -> Proxy:
    """Make a bucket behind a proxy, which has the data, the project's remote."""
    use_bucket(repo, f"s3://{bucket.name}/dvc", proxy.url, KEY, SECRET)
    put(bucket / "dvc", repo / ".dvc/cache", sorted(stored(repo / ".dvc/cache")))
    return proxy


def test_every_object_is_asked_for_once_over_all_runs(
    repo: Path, proxied: Proxy, verify: Verify, git: Git
) -> None:
    for number in range(3):
        (repo / f"code{number}.py").write_text("")
        git("add", "--all")
        git("commit", "-qm", "code")
        made()
    git("push", "-q", "origin", "main")
    proxied.forget()
    assert main(["verify", "--all", "--require", "reproducible"]) == 0
    assert proxied.count("HEAD") <= 2 and max(_heads(proxied)) == 1
    proxied.forget()
    assert main(["verify", "--all", "--require", "reproducible", "--deep"]) == 0
    assert proxied.count("HEAD") <= 5 and max(_heads(proxied)) == 1


def _heads(proxied: Proxy) -> list[int]:
    return [times for (method, _), times in proxied.asked.items() if method == "HEAD"]


def test_a_directory_that_only_the_bucket_has_is_read_from_it(
    repo: Path, bucket: Path, proxied: Proxy, verify: Verify
) -> None:
    run = made()
    objects = repo / ".dvc/cache/files"
    objects.rename(repo.parent / "away")
    assert verify(run.run_id, "--deep", "--require", "reproducible") == (0, "reproducible", "")
    for file in (bucket / "dvc/files/md5").glob("*/*"):
        if not file.name.endswith(".dir"):
            file.unlink()
    assert verify(run.run_id, "--deep")[:2] == (1, "broken")


def test_a_bucket_that_answers_403_or_nothing_is_unknown(
    repo: Path, origin: Path, guarded_server: Guarded, verify: Verify, tracking_sqlite: str
) -> None:
    run = made()
    name = guarded_server.new_bucket()
    use_bucket(repo, f"s3://{name}/dvc", guarded_server.url, *guarded_server.keys["nobody"])
    code, verdict, why = verify(run.run_id)
    assert (code, verdict) == (2, "unknown") and "does not say: 403" in why
    use_bucket(repo, f"s3://{name}/dvc", "http://127.0.0.1:1", KEY, SECRET)
    code, verdict, why = verify(run.run_id)
    assert (code, verdict) == (2, "unknown") and "127.0.0.1:1" in why
    use_bucket(repo, "s3://no-such-bucket/dvc", guarded_server.url, *guarded_server.keys["admin"])
    assert verify(run.run_id)[:2] == (2, "unknown")


def test_a_bucket_that_keeps_versions_is_unknown(
    repo: Path, origin: Path, s3_server: S3, verify: Verify, tracking_sqlite: str
) -> None:
    run = made()
    use_bucket(repo, "s3://any/dvc", s3_server.url, KEY, SECRET, version_aware="true")
    code, verdict, why = verify(run.run_id)
    assert (code, verdict) == (2, "unknown") and "keeps versions of files" in why
