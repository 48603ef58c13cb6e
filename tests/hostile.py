"""Repositories nobody plans and everybody has: odd names, many outputs, secrets in URLs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import Git

ODD_NAMES = (
    "with space.csv",
    " leading and trailing ",
    "quote'single.csv",
    'quote"double.csv',
    "back`tick.csv",
    "back\\slash.csv",
    "new\nline.csv",
    "tab\tand\x7fdelete\x1b[31m.csv",
    "-dash.csv",
    "--option=value",
    "%s %(name)s {0} {name}.csv",
    "naïve-数据-🦊.csv",
    "cafe\u0301.csv",
    "caf\u00e9.csv",
    "right-to-left-\u202e.csv",
    "Case.csv",
    "case.csv",
    "semi;colon:colon|pipe.csv",
    "...",
    "a.b",
)
# Their dotted names are the fixed keys of the tag table.
FIXED_KEYS = (
    "hash",
    "status",
    "manifest",
    "manifest.1",
    "manifest.2",
    "schema",
    "source",
    "rev",
    "exp",
)


def track(repo: Path, path: str | bytes, content: bytes = b"x\n") -> None:
    """Write the file ``path`` and its `.dvc` as `dvc add` would (which takes no odd names)."""
    data = os.path.join(os.fsencode(repo), os.fsencode(path))
    os.makedirs(os.path.dirname(data), exist_ok=True)
    with open(data, "wb") as file:
        file.write(content)
    folder, name = os.path.split(data)
    md5 = hashlib.md5(content).hexdigest()
    out = {"md5": md5, "size": len(content), "hash": "md5", "path": os.fsdecode(name)}
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:  # YAML has no way to say that name
        out["path"] = "plain.csv"
        with open(os.path.join(folder, b"plain.csv"), "wb") as file:
            file.write(content)
    text = yaml.safe_dump({"outs": [out]}, allow_unicode=True).encode()
    with open(data + b".dvc", "wb") as file:
        file.write(text)
    with open(os.path.join(folder, b".gitignore"), "ab") as file:
        file.write(b"*\n!*/\n!*.dvc\n!.gitignore\n")


def clean(repo: Path, git: Git) -> None:
    pass


def odd_paths(repo: Path, git: Git) -> None:
    for number, name in enumerate(ODD_NAMES):
        track(repo, f"data/{name}", b"%d\n" % number)
        track(repo, f"folder {name}/x.csv", b"%d\n" % number)


def colliding_paths(repo: Path, git: Git) -> None:
    for name in (*FIXED_KEYS, "a", "a.b", "a_b", "b/c", "b.c", "b-c", "b_c", "B/C"):
        track(repo, name, name.encode())


def undecodable_paths(repo: Path, git: Git) -> None:
    for name in (b"data/\xff\xfe.csv", b"\xe9t\xe9/x.csv", b"surrogate \xed\xa0\x80/x.csv"):
        track(repo, name)


def many_outputs(repo: Path, git: Git) -> None:
    for number in range(2000):
        track(repo, f"many/part-{number % 40}/file-{number}.csv", b"%d\n" % number)


def long_paths(repo: Path, git: Git) -> None:
    for length in (3, 6, 13):
        track(repo, "/".join(["deep" * 60] * length) + "/x.csv")


def huge_branch(repo: Path, git: Git) -> None:
    git("checkout", "-q", "-b", "/".join(["branch" * 40] * 12))


def odd_branch(repo: Path, git: Git) -> None:
    git("checkout", "-q", "-b", b"f\xe9ature/\"quote'-\xf0\x9f\xa6\x8a")


def secrets_in_urls(repo: Path, git: Git) -> None:
    git("remote", "add", "origin", "https://alice:SECRET@host.example/team/repo.git?token=SECRET")
    (repo / ".dvc/config").write_text(
        "[core]\n    remote = web\n['remote \"web\"']\n"
        "    url = https://alice:SECRET@host.example/dvc?token=SECRET#SECRET\n"
        "    password = SECRET\n"
    )


def odd_urls(repo: Path, git: Git) -> None:
    git("remote", "add", "origin", b"https://host.example/\xff/" + b"long/" * 2000)
    git("config", "remote.upstream.url", "https://bob:SECRET@host.example/new\nline")
    (repo / ".dvc/config").write_text(
        "[core]\n    remote = far\n['remote \"far\"']\n    url = s3://bucket/" + "x" * 9000 + "\n"
    )


def dirty(repo: Path, git: Git) -> None:
    (repo / "train.py").write_text("changed\n")
    (repo / "data/train.csv").write_text("9,9\n")
    (repo / "new\nfile").write_text("untracked\n")
    (repo / "staged.py").write_text("staged\n")
    git("add", "staged.py")


Hostile = Callable[[Path, Git], None]
HOSTILE: tuple[Hostile, ...] = (
    clean, odd_paths, colliding_paths, undecodable_paths, many_outputs, long_paths, huge_branch,
    odd_branch, secrets_in_urls, odd_urls, dirty,
)  # fmt: skip


@pytest.fixture(params=HOSTILE, ids=lambda make: make.__name__)
def hostile(request: pytest.FixtureRequest, repo: Path, git: Git) -> str:
    """Turn `repo` into one of them, committed except for `dirty`; return its name."""
    make: Hostile = request.param
    make(repo, git)
    if make is not dirty:
        git("add", "--all")
        git("commit", "-q", "--allow-empty", "--message", "hostile")
    return make.__name__
