"""What a run was made from, as values: no I/O, no Git, no DVC."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

State = Literal["clean", "modified", "missing", "unknown"]
WORST_FIRST: tuple[State, ...] = ("modified", "unknown", "clean")


class Output(NamedTuple):
    """One entry of DVC's ``outs:``, as its metadata file states it.

    ``path`` and ``source`` are POSIX paths relative to the toplevel (an output outside it keeps
    its absolute path or URL). ``hash`` is DVC's own value, with ``.dir`` kept for directories, or
    None when the metadata has none (a stage that never ran, ``import-url --no-download``).
    ``scheme`` names how it was made: ``md5``, ``md5-dos2unix`` (DVC 2.x), ``etag``, ``checksum``.
    ``stage`` is the stage's name in ``dvc.yaml``, None for an output of a ``.dvc`` file.
    """

    path: str
    hash: str | None
    source: str
    scheme: str = "md5"
    stage: str | None = None
    isdir: bool = False
    isexec: bool = False
    size: int | None = None
    nfiles: int | None = None
    cache: bool = True
    push: bool = True
    metric: bool = False
    plot: bool = False
    type: str | None = None
    remote: str | None = None
    version_id: str | None = None

    @property
    def legacy(self) -> bool:
        """Whether DVC 2.x made the hash: its objects lie elsewhere."""
        return self.scheme == "md5-dos2unix"


class Stage(NamedTuple):
    """One stage of a ``dvc.yaml``, templating resolved; paths as in :class:`Output`.

    ``wdir`` is the folder in which DVC runs the command, relative to the toplevel.
    """

    name: str
    source: str
    wdir: str = ""
    deps: tuple[str, ...] = ()
    outs: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """DVC's stage address relative to the toplevel, such as ``sub/dvc.yaml:train``."""
        return f"{self.source}:{self.name}"


class Metadata(NamedTuple):
    """Everything the DVC metadata files of one repository state.

    ``artifacts`` maps a path declared under ``artifacts:`` of a ``dvc.yaml`` to its type.
    ``broken`` maps a metadata file that could not be read to the reason, in one line.
    """

    outputs: tuple[Output, ...] = ()
    stages: tuple[Stage, ...] = ()
    artifacts: Mapping[str, str | None] = MappingProxyType({})
    broken: Mapping[str, str] = MappingProxyType({})


class OutputState(NamedTuple):
    """An output beside what is on disk.

    ``hash`` is the hash of the bytes on disk, None when it is not known; ``status`` compares it
    with ``output.hash``. ``reason`` says in a few words why something is not ``clean``.
    """

    output: Output
    status: State
    hash: str | None = None
    reason: str = ""

    @property
    def path(self) -> str:
        """The output's path."""
        return self.output.path


class Code(NamedTuple):
    """The Git worktree that the running code belongs to.

    ``dirty`` and ``untracked`` are None when Git did not answer. ``dirty_paths`` are what makes
    the tree dirty: changed tracked files, and loaded code that HEAD does not hold. ``snapshot`` is
    the commit that keeps a dirty tree, ``incomplete`` says what of the run is not in it, or why
    there is none; only when it is empty, ``tree`` is that of the snapshot.
    """

    toplevel: str
    commit: str | None = None
    branch: str | None = None
    dirty: bool | None = None
    dirty_paths: tuple[str, ...] = ()
    tree: str | None = None
    untracked: int | None = None
    remote_url: str | None = None
    snapshot: str | None = None
    incomplete: tuple[str, ...] = ()


class Data(NamedTuple):
    """The DVC repository's outputs: the run's input data, and the rest.

    Paths are relative to ``toplevel``. ``rev`` is the commit of the data's Git repository when it
    is not the code's. ``unread`` maps a metadata file, or a part of the capture that did not
    answer, to the reason: whatever it names is ``unknown``.
    """

    toplevel: str
    root: str
    inputs: tuple[OutputState, ...] = ()
    products: tuple[OutputState, ...] = ()
    missing: tuple[OutputState, ...] = ()
    unread: Mapping[str, str] = MappingProxyType({})
    rev: str | None = None
    remote: str | None = None

    @property
    def status(self) -> State | None:
        """The worst state of all inputs; None when there is no input on disk."""
        found = {state.status for state in self.inputs}
        if self.unread:
            found.add("unknown")
        return next((state for state in WORST_FIRST if state in found), None)


class Provenance(NamedTuple):
    """The code and data a run is made from, as far as they could be established.

    ``stage`` and ``experiment`` are DVC's own names for what is running. ``warnings`` are pairs
    of (short reason, sentence for a person that ends with the command that mends it).
    """

    code: Code | None = None
    data: Data | None = None
    stage: str | None = None
    experiment: str | None = None
    source: Literal["live", "backfill", "env", "manual"] = "live"
    warnings: tuple[tuple[str, str], ...] = ()
