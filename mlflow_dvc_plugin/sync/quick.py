"""See in a few milliseconds that nothing a commit is checked for has changed since the last check.

The check leaves a record of what it found clean: the tree of that commit, and the fingerprint of
every output. While the metadata in the index is that tree's, the fingerprints are the same, and
no file enters Git that the check would look at more closely, its answer is the same, too. Whatever
is unclear is left to the check.

A commit waits for this: nothing is imported here that takes long, `subprocess` included.
"""

from __future__ import annotations

import os

from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.capture.fingerprint import Fingerprint, take

TYPE_CHECKING = False  # typing's takes 8 ms to import
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mlflow_dvc_plugin.gitdir import Worktree

_FOLDER = "mlflow-dvc"  # sync.events.state_folder
_FILE = "clean"
_HEAD = "mlflow-dvc clean 2"
_END = "end"
_NOTHING = "-"
_ANYTHING = "*"
# As in hooks/post-index-change; names that end so are metadata.
PATTERNS = ("*.dvc", "*dvc.yaml", "*dvc.lock", "*.dvcignore", "*.dvc/config")
_MANY = 500  # files entering Git: more are for the check, whose pipes may hold any number
Fingerprints = dict[str, Fingerprint | None]


def keep(
    worktree: Worktree, tree: str, limit: float, outputs: Fingerprints, tracked: Iterable[str]
) -> None:
    """Write down what was found clean; ``limit`` is the size in bytes of a file that is too large.

    ``tracked`` are paths that must not enter Git, those among ``outputs`` or others. Raises OSError
    and, for a path that is no file's name, ValueError. Without it the next commit is checked again.
    """
    folder, toplevel = os.path.join(worktree.git_dir, _FOLDER), worktree.toplevel
    lines = [_HEAD, toplevel, _circumstances(toplevel), tree, str(int(limit))]
    lines += [f"{_identity(path)}\t{path}" for path in _ignore_files(toplevel, outputs)]
    lines.append("")
    lines += [f"{_text(found)}\t{path}" for path, found in outputs.items()]
    lines += [f"{_ANYTHING}\t{path}" for path in sorted(set(tracked) - set(outputs))]
    lines.append(_END)
    text = "\n".join(lines) + "\n"
    if text.count("\n") != len(lines):
        return  # a name with a line break: no record
    os.makedirs(folder, exist_ok=True)
    scratch = os.path.join(folder, f"{_FILE}.{os.getpid()}")
    with open(scratch, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        file.write(text)
    os.replace(scratch, os.path.join(folder, _FILE))


def still_clean() -> bool:
    """Tell whether the commit that Git is about to make has to be looked at no further.

    The working directory and ``GIT_INDEX_FILE`` are those of the hook.
    """
    folder = os.path.join(os.environ.get("GIT_DIR") or ".git", _FOLDER)
    try:
        with open(
            os.path.join(folder, _FILE), encoding="utf-8", errors="surrogateescape", newline="\n"
        ) as file:
            lines = file.read().split("\n")
        head, toplevel, circumstances, tree, limit, *rest = lines
        if head != _HEAD or rest[-2:] != [_END, ""] or toplevel != os.getcwd():
            return False
        middle = rest.index("")
        return (
            circumstances == _circumstances(toplevel)
            and _all_same(rest[:middle], _identity)
            and _index_is_clean(tree, int(limit), {_path(line) for line in rest[middle + 1 : -2]})
            and _all_same(rest[middle + 1 : -2], _fingerprint)
        )
    except (OSError, ValueError, AttributeError):  # AttributeError: no posix_spawn
        return False


def _all_same(lines: Iterable[str], look: Callable[[str], str]) -> bool:
    split = (line.partition("\t") for line in lines)
    return all(known == _ANYTHING or look(path) == known for known, _, path in split)


def _path(line: str) -> str:
    return line.partition("\t")[2]


def _fingerprint(path: str) -> str:
    return _text(take(path, _NEVER))


def _text(found: Fingerprint | None) -> str:
    return _NOTHING if found is None else " ".join(str(int(value)) for value in found)


def _circumstances(toplevel: str) -> str:
    """Return what the settings depend on, as one line."""
    given = sorted(item for item in os.environ.items() if item[0].startswith("MLFLOW_DVC_"))
    return ascii((_identity(os.path.join(toplevel, "pyproject.toml")), given))


def _identity(path: str) -> str:
    try:
        info = os.stat(path)
    except OSError:
        return _NOTHING
    return f"{info.st_ino} {info.st_size} {info.st_mtime_ns} {info.st_ctime_ns}"


def _ignore_files(toplevel: str, outputs: Iterable[str]) -> list[str]:
    """Return where patterns could stand that decide which files of the outputs count."""
    folders = {os.path.dirname(path) for path in outputs}
    for folder in list(folders):
        above = folder
        while above:
            above = os.path.dirname(above) if above != os.sep else ""
            folders.add(above)
    return sorted(os.path.join(toplevel, folder, ".dvcignore") for folder in folders)


def _index_is_clean(tree: str, limit: int, outputs: set[str]) -> bool:
    """Ask Git, in two processes at once, for the metadata and for what enters."""
    if not tree.isalnum():
        return False
    metadata = _Git("diff-index", "--cached", "--quiet", tree, "--", *PATTERNS)
    entering = _Git(
        "diff-index", "--cached", "-z", "--raw", "--no-renames", "--diff-filter=AMT", "HEAD"
    )
    said, out = metadata.answer(), entering.answer()
    if said is None or out is None:
        return False
    parts = os.fsdecode(out).split("\0")
    paths, heads = parts[1::2], parts[:-1:2]
    if len(paths) > _MANY or any(_matters(path, outputs) for path in paths):
        return False
    blobs = [head.split(" ")[3] for head in heads if head.split(" ")[1][:3] in ("100", "120")]
    return not blobs or _are_small(blobs, limit)


def _matters(path: str, outputs: set[str]) -> bool:
    """Tell whether the path is metadata, or DVC tracks it as well."""
    if path.endswith(tuple(pattern[1:] for pattern in PATTERNS)):
        return True
    while path:
        if path in outputs:
            return True
        path = path.rpartition("/")[0]
    return False


def _are_small(blobs: Sequence[str], limit: int) -> bool:
    request = "".join(f"{blob}\n" for blob in blobs).encode()
    out = _Git("cat-file", "--batch-check=%(objectsize)", stdin=request).answer()
    return out is not None and all(int(size) <= limit for size in out.split())


class _Git:
    """A Git process of this commit, without what `subprocess` takes to import."""

    def __init__(self, *args: str, stdin: bytes = b"") -> None:
        self._out, out = os.pipe()
        given, put = os.pipe()
        # What a pattern means is not the user's to say: Magit makes all of them literal.
        environ = {key: text for key, text in os.environ.items() if key[-10:] != "_PATHSPECS"}
        try:
            try:
                self._pid = os.posix_spawnp(
                    "git", ["git", "--no-optional-locks", *args], environ,
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, given, 0), (os.POSIX_SPAWN_DUP2, out, 1),
                        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                    ],
                )  # fmt: skip
            finally:
                os.close(given)
                os.close(out)
            if stdin:
                os.write(put, stdin)  # with a reader: pipes of a user who has many are small
        except BaseException:
            os.close(self._out)
            raise
        finally:
            os.close(put)

    def answer(self) -> bytes | None:
        """Return what it printed, None when it failed."""
        with open(self._out, "rb") as file:
            out = file.read()
        _, status = os.waitpid(self._pid, 0)
        return out if status == 0 else None


_NEVER = Deadline(None)
