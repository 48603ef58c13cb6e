"""A history of DVC metadata: each commit is one step that people take, by chance but repeatable."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from conftest import Dvc, Git

_ROOTS = ("", "team/", "nested/deep/")
_FOLDERS = ("", "data/", "data/raw/", "models/", "legacy/", "out é/")
_NAMES = ("train.csv", "test.csv", "images", "m.pkl", "a b", "e#f", "é")
_PIPELINE = {
    "plain": {"cmd": "x", "deps": ["data/train.csv"], "outs": ["features"], "metrics": ["m.json"]},
    "moved": {"cmd": "x", "wdir": "data/raw", "outs": [{"../prepared": {"cache": False}}]},
    "templated": {"cmd": "x", "outs": ["made-${version}"]},
    "many": {"foreach": ["a", "b"], "do": {"cmd": "x", "outs": ["part-${item}"]}},
}


class History:
    """Takes steps in a repository, one commit each; some on a branch that is merged later."""

    def __init__(self, folder: Path, git: Git, dvc: Dvc, seed: int = 1) -> None:
        self.folder = folder
        self._git, self._dvc = git, dvc
        self._chance = random.Random(seed)
        self._steps: list[Callable[[str], None]] = [
            self._add, self._add, self._add, self._change, self._change, self._change,
            self._rename, self._rename_folder, self._delete, self._pipeline, self._lock,
            self._lock, self._lock, self._params, self._ignore, self._root, self._conflict,
        ]  # fmt: skip

    def begin(self) -> None:
        """Start as people do, with Git's and DVC's own commands."""
        self._git("init", "-q", cwd=self.folder)
        self._dvc("init", "-q", cwd=self.folder)
        for root in _ROOTS[1:]:
            (self.folder / root).mkdir(parents=True)
            self._dvc("init", "-q", "--subdir", cwd=self.folder / root)
        self._commit("init")
        for root in _ROOTS:
            self._real_steps(self.folder / root)

    def step(self, number: int) -> None:
        """Make one more commit."""
        if number % 12 == 0:
            self._git("checkout", "-qb", f"side{number}", cwd=self.folder)
        root = self._chance.choice(_ROOTS)
        self._chance.choice(self._steps)(root)
        self._commit(str(number))
        if number % 12 == 5 and number > 12:
            side = f"side{number - 5}"
            self._git("checkout", "-q", "main", cwd=self.folder)
            self._root(_ROOTS[1])
            self._commit(f"beside {side}")
            self._git("merge", "-q", "-X", "theirs", "-m", f"merge {side}", side, cwd=self.folder)

    def _real_steps(self, root: Path) -> None:
        """Let DVC itself write, move and run."""
        (root / "data").mkdir()
        (root / "data/own.csv").write_text(f"{root.name},1\n")
        (root / "data/pictures/sub").mkdir(parents=True)
        (root / "data/pictures/sub/one.png").write_text("one")
        self._dvc("add", "-q", "data/own.csv", "data/pictures", cwd=root)
        self._commit("add")
        (root / "data/own.csv").write_text("2\n")
        self._dvc("add", "-q", "data/own.csv", cwd=root)
        self._commit("change")
        self._dvc("move", "-q", "data/own.csv", "own.csv", cwd=root)
        self._commit("move")
        (root / "real").mkdir()
        (root / "real/dvc.yaml").write_text(
            "stages:\n  copy:\n    cmd: cp own.csv copied\n    wdir: ..\n"
            "    deps: [own.csv]\n    outs: [copied]\n"
        )
        self._dvc("repro", "-q", "real/dvc.yaml", cwd=root)
        self._commit("repro")

    def _commit(self, message: str) -> None:
        self._git("add", "-A", cwd=self.folder)
        self._git("commit", "-qm", message, "--allow-empty", cwd=self.folder)

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def _hash(self) -> str:
        return self._chance.choice("0123456789abcdef") * 31 + "a"

    def _entry(self, path: str) -> dict[str, object]:
        """Return what DVC 2.x or 3.x says of a file, a directory, or one that a cloud versions."""
        kind = self._chance.choice(["old", "old dir", "file", "file", "dir", "none", "listed"])
        entry: dict[str, object] = {"path": path}
        if not kind.startswith("old"):
            entry["hash"] = "md5"
        if kind in {"file", "old"}:
            entry |= {"md5": self._hash(), "size": 1}
        elif kind in {"dir", "old dir"}:
            entry |= {"md5": self._hash() + ".dir", "size": 1, "nfiles": 2}
        elif kind == "listed":
            version = {"cloud": {"r": {"version_id": "v"}}}
            entry["files"] = [{"relpath": "n", "md5": self._hash(), **version}]
        return entry

    def _dvc_files(self, root: str) -> list[Path]:
        found = (self.folder / root).rglob("*.dvc")
        return sorted(path for path in found if path.is_file() and ".dvc/" not in str(path))

    def _add(self, root: str) -> None:
        name, folder = self._chance.choice(_NAMES), self._chance.choice(_FOLDERS)
        self._write(f"{root}{folder}{name}.dvc", json.dumps({"outs": [self._entry(name)]}))

    def _change(self, root: str) -> None:
        for path in self._dvc_files(root)[: self._chance.randint(1, 3)]:
            entry = self._entry(path.name.removesuffix(".dvc"))
            path.write_text(json.dumps({"outs": [entry]}))

    def _rename(self, root: str) -> None:
        for path in self._dvc_files(root)[:1]:
            path.rename(path.with_name(f"renamed {path.name}"))

    def _rename_folder(self, root: str) -> None:
        old, new = self.folder / root / "legacy", self.folder / root / "data/was legacy"
        if old.exists() and not new.exists():
            new.parent.mkdir(exist_ok=True)
            old.rename(new)

    def _delete(self, root: str) -> None:
        for path in self._dvc_files(root)[-1:]:
            path.unlink()

    def _pipeline(self, root: str) -> None:
        names = self._chance.sample(sorted(_PIPELINE), self._chance.randint(1, 4))
        stages = {name: _PIPELINE[name] for name in names}
        artifacts = {"best": {"path": "features", "type": "model"}}
        self._write(f"{root}dvc.yaml", json.dumps({"stages": stages, "artifacts": artifacts}))
        self._write(f"{root}params.yaml", "version: 1\n")

    def _lock(self, root: str) -> None:
        made = {
            "plain": "features", "moved": "../prepared", "templated": "made-1",
            "many@a": "part-a", "many@b": "part-b", "gone": "gone",
        }  # fmt: skip
        names = self._chance.sample(sorted(made), 4)
        stages = {name: {"cmd": "x", "outs": [self._entry(made[name])]} for name in names}
        self._write(f"{root}dvc.lock", json.dumps({"schema": "2.0", "stages": stages}))

    def _params(self, root: str) -> None:
        self._write(f"{root}params.yaml", f"version: {self._chance.randint(1, 2)}\n")

    def _ignore(self, root: str) -> None:
        folder = self._chance.choice(["", "data/"])
        pattern = self._chance.choice(["raw", "*.csv.dvc", "/dvc.lock", "# nothing", ""])
        self._write(f"{root}{folder}.dvcignore", f"{pattern}\n")

    def _root(self, root: str) -> None:
        """Make a DVC repository of a folder, or stop that."""
        folder = self.folder / (root or "data/raw") / ".dvc"
        if not root or not folder.exists():
            self._write(f"{root or 'data/raw/'}.dvc/config", "")
            return
        shutil.rmtree(folder)

    def _conflict(self, root: str) -> None:
        for path in self._dvc_files(root)[:1]:
            path.write_text("<<<<<<< HEAD\n")
