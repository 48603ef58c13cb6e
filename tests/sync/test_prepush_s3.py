"""pre-push to S3: a real server, and what is wrong with it named."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest
from services import free_port

from sync.conftest import Commit, Push, UseS3, stored


def test_a_push_uploads_to_s3_what_is_not_there(
    repo: Path, push: Push, bucket: Path, use_s3: UseS3, commit_data: Commit
) -> None:
    use_s3()
    done = push()
    assert done.code == 0, done.err
    assert "5 objects uploaded to DVC remote 'far'" in done.err
    assert stored(bucket / "dvc") == stored(repo / ".dvc/cache")
    commit_data("data/train.csv", "second\n")
    done = push()
    assert done.code == 0, done.err
    assert "1 object uploaded to DVC remote 'far'" in done.err


@pytest.mark.parametrize(
    ("settings", "says", "hint"),
    [
        (
            {"secret_access_key": "wrong"},
            "SignatureDoesNotMatch",
            "hint: dvc remote modify --local",
        ),
        ({"access_key_id": "wrong"}, "InvalidAccessKeyId", "hint: dvc remote modify --local"),
        ({"url": "s3://no-such-bucket/dvc"}, "NoSuchBucket", "hint: create the bucket"),
    ],
)
def test_a_remote_that_refuses_stops_the_push_and_the_next_one_goes_on(
    push: Push, use_s3: UseS3, settings: dict[str, str], says: str, hint: str
) -> None:
    use_s3(**settings)
    done = push()
    assert done.code != 0
    assert "error: DVC remote 'far'" in done.err
    assert says in done.err
    assert hint in done.err
    assert "new branch" not in done.err
    use_s3()
    assert push().code == 0


def test_an_endpoint_that_is_dead_stops_the_push_soon(push: Push, use_s3: UseS3) -> None:
    use_s3(endpointurl=f"http://127.0.0.1:{free_port()}")
    begun = time.monotonic()
    done = push()
    assert done.code != 0
    assert "error: DVC remote 'far'" in done.err
    assert time.monotonic() - begun < 20


@pytest.mark.slow
def test_an_endpoint_that_never_answers_stops_the_push_within_bounds(
    push: Push, use_s3: UseS3
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        use_s3(endpointurl=f"http://127.0.0.1:{server.getsockname()[1]}")
        begun = time.monotonic()
        done = push()
    assert done.code != 0
    assert "error: DVC remote 'far'" in done.err
    assert "imeout" in done.err or "timed out" in done.err
    assert time.monotonic() - begun < 40
