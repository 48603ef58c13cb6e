"""The case about bringing a run back, with its data in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks import histories
from benchmarks.bench import Bench
from benchmarks.hooks import git
from benchmarks.table import Limit, Row
from benchmarks.timing import interleave, timed
from mlflow_dvc_plugin.lineage.parts import How
from mlflow_dvc_plugin.lineage.record import Record
from mlflow_dvc_plugin.lineage.restore import restore

_TAGS = """
import json
from mlflow_dvc_plugin.capture.live import Facts, capture
from mlflow_dvc_plugin.tags import to_tags
print(json.dumps(to_tags(capture(Facts(), thorough=True)[0])))
"""
_MEMORY = "/dev/shm"
_KNOWN = (".git", "mlflow-dvc", "objects")


@dataclass(frozen=True)
class _Case:
    """A run that is brought back from ``repo`` into the folder ``to``."""

    repo: str
    to: str
    run: Record

    def bring(self) -> None:
        outcome = restore(self.run, How(to=self.to), self.repo, lambda *_: None)
        if not outcome.whole:
            raise SystemExit(f"the restore has failed: {outcome}")

    def again(self) -> None:
        git(self.repo, "worktree", "remove", "--force", "--force", self.to)

    def add(self) -> None:
        git(self.repo, "worktree", "add", "-q", "--detach", self.to, "main")

    def forget(self) -> None:
        """Let nothing be known of the objects."""
        shutil.rmtree(os.path.join(self.repo, *_KNOWN), ignore_errors=True)

    def clear(self) -> None:
        shutil.rmtree(self.to)


def beside(bench: Bench) -> list[Row]:
    """Measure a restore of a directory of 20,000 files, by hard links and by copies."""
    repo = histories.history(bench, "folder")
    _dvc(repo, "config", "--local", "cache.type", "hardlink")
    for folder, _, names in os.walk(os.path.join(repo, ".dvc", "cache")):
        for name in names:
            os.chmod(os.path.join(folder, name), 0o444)  # as DVC leaves them where it makes links
    _dvc(repo, "checkout", "--quiet", "--relink")
    git(repo, "config", "core.hooksPath", os.devnull)
    case = _Case(repo, os.path.join(bench.base, "restored"), _run(repo))
    with tempfile.TemporaryDirectory(dir=_MEMORY if os.path.isdir(_MEMORY) else bench.base) as top:
        copied = replace(case, to=os.path.join(top, "restored"))
        return [*_links(bench, case), *_copies(bench, copied)]


def _links(bench: Bench, case: _Case) -> list[Row]:
    repo, to = case.repo, case.to
    known, noted = os.path.join(repo, *_KNOWN), os.path.join(bench.base, "noted")
    clone = os.path.join(bench.base, "cloned")
    shutil.copytree(known, noted)

    def captured() -> None:
        """Let no more be known of the objects than the start of the run has written down."""
        case.forget()
        shutil.copytree(noted, known)

    def by_hand() -> None:
        git(bench.base, "clone", "--quiet", repo, clone)
        _dvc(clone, "config", "--local", "cache.dir", os.path.join(repo, ".dvc", "cache"))
        _dvc(clone, "config", "--local", "cache.type", "hardlink")
        _dvc(clone, "checkout", "--quiet")

    turns = {
        "add": timed(case.add, after=case.again),
        "link": timed(lambda: _link(repo, to), after=case.clear),
        "read": timed(lambda: _link(repo, to, read=True), after=case.clear),
        "ours": timed(case.bring, before=captured, after=case.again),
        "reading": timed(case.bring, before=case.forget, after=case.again),
    }
    samples = interleave(turns, bench.rounds(12), warm_up=1)
    hand = timed(by_hand, after=lambda: shutil.rmtree(clone))
    slow = interleave({"hand": hand}, bench.rounds(3, least=1), warm_up=0)["hand"]
    parts = [statistics.median(samples[name].wall) for name in ("add", "link")]
    limit = Limit(parts[0] + 1.3 * parts[1], "git worktree add + 1.3 x linking")
    base, reads = samples["link"].wall, samples["reading"]
    return [
        Row("stat and link of 20,000 objects", base, cpu=samples["link"].cpu),
        Row("the same, and reading each once", samples["read"].wall, base, cpu=samples["read"].cpu),
        Row("git worktree add", samples["add"].wall, base, cpu=samples["add"].cpu),
        Row("restore --to", samples["ours"].wall, base, limit, cpu=samples["ours"].cpu),
        Row("  no object known, each read", reads.wall, base, limit, cpu=reads.cpu),
        Row("git clone, dvc checkout", slow.wall, base, cpu=slow.cpu),
    ]


def _copies(bench: Bench, case: _Case) -> list[Row]:
    """Measure what DVC's default comes to where the file system has no reflinks.

    Nothing is known of the objects. In memory, where there is such a folder: on a disk the same
    20,000 files take one second to make, or nine.
    """
    _dvc(case.repo, "config", "--local", "cache.type", "copy")
    turns = {
        "add": timed(case.add, after=case.again),
        "copy": timed(lambda: _copy(case.repo, case.to), after=case.clear),
        "ours": timed(case.bring, before=case.forget, after=case.again),
    }
    samples = interleave(turns, bench.rounds(8), warm_up=1)
    parts = [statistics.median(samples[name].wall) for name in ("add", "copy")]
    limit = Limit(parts[0] + 1.3 * parts[1], "git worktree add + 1.3 x copying")
    base, ours = samples["copy"].wall, samples["ours"]
    return [
        Row("copying 20,000 objects", base, cpu=samples["copy"].cpu),
        Row("restore --to, by copies", ours.wall, base, limit, cpu=ours.cpu),
    ]


def _run(repo: str) -> Record:
    """Return a run with the tags of one that starts here now; its start has read the data."""
    command = [sys.executable, "-c", _TAGS]
    done = subprocess.run(command, cwd=repo, capture_output=True, check=True)
    tags = json.loads(done.stdout)
    if tags.get("dvc.status") != "clean" or tags.get("git.dirty") != "false":
        raise SystemExit(f"the generated repository is not clean: {tags}")
    return Record("0" * 32, "run", "0", "FINISHED", 0, 0, {}, {}, tags)


def _link(repo: str, to: str, *, read: bool = False) -> None:
    """Link the directory's files, each looked at first, or read: less cannot be done."""
    for md5, source, target in _files(repo, to):
        if read:
            with open(source, "rb", buffering=0) as file:
                data = file.read()
            if hashlib.md5(data, usedforsecurity=False).hexdigest() != md5:
                raise SystemExit(f"{source} is damaged")
        else:
            os.stat(source)
        os.link(source, target)


def _copy(repo: str, to: str) -> None:
    """Copy the directory's files, without a look at what is copied."""
    for _, source, target in _files(repo, to):
        shutil.copyfile(source, target)


def _files(repo: str, to: str) -> Iterator[tuple[str, str, str]]:
    """Make the folder; yield (md5, the object, its place there) of each file."""
    os.makedirs(to)
    cache = os.path.join(repo, ".dvc", "cache", "files", "md5")
    with open(histories.listing(repo), encoding="utf-8") as file:
        rows = json.load(file)
    for row in rows:
        md5 = row["md5"]
        yield md5, f"{cache}/{md5[:2]}/{md5[2:]}", f"{to}/{row['relpath']}"


def _dvc(repo: str, *args: str) -> None:
    subprocess.run([sys.executable, "-m", "dvc", *args], cwd=repo, check=True)
