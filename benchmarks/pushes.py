"""The case about `git push`: what pre-push costs beside DVC's own push, on a real S3 server."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from typing import Any

from benchmarks import repositories
from benchmarks.bench import Bench
from benchmarks.table import Limit, Row
from benchmarks.timing import Times, interleave, timed

_COMMITS, _EACH, _LACKING = 100, 10, 10
_PATIENCE = 120  # seconds
_KEY, _SECRET, BUCKET = "bench-key", "bench-secret", "bucket"


def push(bench: Bench) -> list[Row]:
    """Measure a push of 100 commits with 1,000 objects, 990 of which are there."""
    repo, objects = _build(bench.base)
    there = os.path.join(bench.base, "buckets", BUCKET, "files", "md5")
    shutil.rmtree(there, ignore_errors=True)
    shutil.copytree(os.path.join(repo, ".dvc", "cache", "files", "md5"), there)
    with server(os.path.join(bench.base, "buckets")) as address:
        client = configure(repo, address)

        def lacking() -> None:
            for name in objects[:: len(objects) // _LACKING][:_LACKING]:
                client.delete_object(Bucket=BUCKET, Key=f"files/md5/{name[:2]}/{name[2:]}")

        ours = timed(lambda: _pre_push(bench, repo), lacking, lambda: _complete(there, objects))
        dvc = timed(lambda: _dvc_push(bench, repo), lacking)
        base = interleave({"": ours}, bench.rounds(8), warm_up=1)[""]
        theirs = interleave({"": dvc}, 1, warm_up=0)[""]
        plain = _nothing(bench, repo)
    others = {"pre-push, nothing new": plain, "dvc push --all-commits (at most 120 s)": theirs}
    return [
        Row("pre-push, 100 commits", base.wall, base.wall, Limit(2000, "2 s"), cpu=base.cpu),
        *(Row(name, times.wall, base.wall, cpu=times.cpu) for name, times in others.items()),
    ]


def _nothing(bench: Bench, repo: str) -> Times:
    """Time pre-push where the remote has the commits already."""
    _git(repo, "update-ref", "refs/remotes/origin/main", "HEAD")
    times = interleave({"": timed(lambda: _pre_push(bench, repo))}, bench.rounds(8), warm_up=1)[""]
    _git(repo, "update-ref", "-d", "refs/remotes/origin/main")
    return times


def _pre_push(bench: Bench, repo: str) -> None:
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repo, capture_output=True, check=True)
    line = f"refs/heads/main {head.stdout.decode().strip()} refs/heads/main {'0' * 40}\n"
    command = [bench.python, "-m", "mlflow_dvc_plugin.hook", "pre-push", "origin", "there"]
    done = subprocess.run(command, cwd=repo, input=line.encode(), capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.decode())


def _dvc_push(bench: Bench, repo: str) -> None:
    """Push with DVC, which takes minutes: it is stopped after two, and the row says so."""
    command = [bench.python, "-m", "dvc", "push", "--quiet", "--all-commits"]
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(command, cwd=repo, check=True, timeout=_PATIENCE)


def _complete(there: str, objects: list[str]) -> None:
    lost = [name for name in objects if not os.path.isfile(f"{there}/{name[:2]}/{name[2:]}")]
    if lost:
        raise SystemExit(f"{len(lost)} objects did not arrive")


@contextlib.contextmanager
def server(buckets: str) -> Iterator[str]:
    """Run an S3 server over a folder of buckets; yield its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        os.path.join(sysconfig.get_path("scripts"), "rclone"), "serve", "s3", "--no-cleanup",
        "--config", "", "--addr", f"127.0.0.1:{port}",
        "--auth-key", f"{_KEY},{_SECRET}", buckets,
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def configure(repo: str, address: str) -> Any:
    """Make the bucket the default DVC remote, where nothing is committed; return a client."""
    import boto3

    with open(os.path.join(repo, ".dvc", "config.local"), "w", encoding="ascii") as file:
        file.write(
            f"[core]\n    remote = s3\n['remote \"s3\"']\n    url = s3://{BUCKET}\n"
            f"    endpointurl = {address}\n    region = us-east-1\n"
            f"    access_key_id = {_KEY}\n    secret_access_key = {_SECRET}\n"
        )
    return boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id=_KEY,
        aws_secret_access_key=_SECRET,
    )  # fmt: skip


def _build(base: str) -> tuple[str, list[str]]:
    """Make a repository of 100 commits, each with ten new outputs; return it and all hashes."""
    repo = os.path.join(base, "push")
    shutil.rmtree(repo, ignore_errors=True)
    os.makedirs(repo)
    _git(repo, "init", "--quiet", "--initial-branch=main")
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=repo, check=True)
    _git(repo, "add", "--all")
    _git(repo, "commit", "--quiet", "--message", "dvc")
    objects: list[str] = []
    stream = b"".join(_commit(repo, number, objects) for number in range(_COMMITS))
    _git(repo, "fast-import", "--quiet", "--force", stdin=stream)
    _git(repo, "reset", "--quiet", "--hard", "main")
    return repo, objects


def _commit(repo: str, number: int, objects: list[str]) -> bytes:
    cache = os.path.join(repo, ".dvc", "cache", "files", "md5")
    text = b"commit refs/heads/main\ncommitter Bench <bench@example.org> 1700000000 +0000\n"
    text += b"data 4\ndata\n" + (b"from refs/heads/main^0\n" if number == 0 else b"")
    for each in range(_EACH):
        content = f"{number} {each}\n".encode() * 50
        name = f"table{number:03}-{each}.csv"
        md5 = hashlib.md5(content).hexdigest()
        objects.append(md5)
        os.makedirs(os.path.join(cache, md5[:2]), exist_ok=True)
        with open(os.path.join(cache, md5[:2], md5[2:]), "wb") as file:
            file.write(content)
        metadata = repositories.metadata(md5, len(content), None, name)
        text += b"M 100644 inline data/%s.dvc\n" % name.encode()
        text += b"data %d\n%s\n" % (len(metadata), metadata)
    return text


def _git(root: str, *args: str, stdin: bytes = b"") -> None:
    subprocess.run(["git", *args], cwd=root, input=stdin, stdout=subprocess.DEVNULL, check=True)
