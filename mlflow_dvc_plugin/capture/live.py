"""What code and data is this, now? One capture, from the places to the Provenance."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from mlflow_dvc_plugin import gitdir
from mlflow_dvc_plugin.capture import places
from mlflow_dvc_plugin.capture.background import Background
from mlflow_dvc_plugin.capture.code import capture_code, git_status
from mlflow_dvc_plugin.capture.data import capture_data
from mlflow_dvc_plugin.capture.datarepo import DataRepo, nothing
from mlflow_dvc_plugin.capture.deadline import Deadline
from mlflow_dvc_plugin.capture.facts import Facts
from mlflow_dvc_plugin.capture.inputs import Rules
from mlflow_dvc_plugin.config import Settings
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.gitrepo import GitError, Status
from mlflow_dvc_plugin.provenance import Code, Data, Provenance, Stage

__all__ = ["Facts", "Progress", "capture"]

Keep = Literal["new", "known", "nothing"]
# Seconds that a capture gets even when waiting has used its budget up.
_LEAST = 0.5
# Of the time that is left; the data needs some, too.
_SNAPSHOT_SHARE = 0.7


@dataclass
class Progress:
    """What a capture has established so far, for a caller that cannot wait for its end."""

    budget: float | None = None
    code: Code | None = None
    data: Data | None = None
    warnings: list[tuple[str, str]] = field(default_factory=list)


def capture(  # noqa: PLR0913
    facts: Facts,
    budget: float | None = None,
    progress: Progress | None = None,
    *,
    waited: float = 0.0,
    thorough: bool = False,
    keep: Keep = "nothing",
    given: str | None = None,
) -> tuple[Provenance, Settings]:
    """Establish the code and data of this process, now.

    ``budget`` is in seconds, the setting when None, and ``waited`` seconds of it are over already;
    ``thorough`` takes whatever time it needs. What is not answered in time is ``unknown``.
    ``progress`` is filled on the way. ``keep`` says what becomes of a dirty tree: a ``new``
    snapshot at a run's start, the ``known`` one if nothing has changed since, or ``nothing``.
    ``given`` is a folder of the repository, instead of the one that ``MLFLOW_DVC_REPO`` names.
    """
    progress = progress or Progress()
    begin = places.start(progress.warnings, given)
    settings, problems = facts.settings(places.settings_folder(begin.folder))
    progress.warnings += [(problem, problem) for problem in problems]
    progress.budget = budget or settings.budget
    left = max(progress.budget - waited, min(progress.budget, _LEAST))
    deadline = Deadline(None if thorough else left)
    address = os.environ.get("DVC_STAGE") or None
    with _part(progress, "the repository"):
        code, status, repo = _repositories(begin, facts, deadline, progress)
        written: Callable[[str], bool] = nothing
        if repo is not None:
            with _part(progress, "the data"):
                repo.read(code, status)
                written = repo.written_by_dvc(code) if code and address else nothing
        if code is not None:
            with _part(progress, "the code"):
                progress.code = capture_code(
                    code, status, facts.git, deadline, progress.warnings, written
                )
            if keep != "nothing" and status is not None and settings.snapshot != "off":
                with _part(progress, "the snapshot"):
                    part = Deadline.sooner(deadline, _SNAPSHOT_SHARE)
                    _keep(progress, code, status, facts, part, settings.snapshot, keep == "new")
        if repo is not None and progress.data is None:
            with _part(progress, "the data"):
                rules = Rules(settings.inputs, settings.models)
                stage = repo.running_stage(address, places.dvc_started_in() if address else None)
                progress.data = _saved(repo, stage, rules)
    return Provenance(
        code=progress.code,
        data=progress.data,
        stage=address,
        experiment=os.environ.get("DVC_EXP_NAME") or None,
        warnings=tuple(progress.warnings),
    ), settings


def _keep(  # noqa: PLR0913, PLR0917
    progress: Progress, worktree: Worktree, status: Status, facts: Facts, deadline: Deadline,
    kind: str, new: bool,
) -> None:  # fmt: skip
    """Keep a dirty tree as a commit; why that cannot be done is said, and stops nothing."""
    code = progress.code
    if code is None or not code.dirty:
        return
    from mlflow_dvc_plugin.capture.kept import FullError
    from mlflow_dvc_plugin.capture.snapshots import Differs

    changed, hidden = set(status.changed), set(facts.git.index(worktree, deadline).hidden)
    others = [path for path in code.dirty_paths if path not in changed]
    differs = Differs(
        status,
        loaded=[path for path in others if path not in hidden],
        hidden=[path for path in others if path in hidden],
    )
    try:
        made = facts.snapshots.take(worktree, differs, deadline, kind=kind, new=new)
    except (MlflowDvcError, OSError) as error:
        hint = getattr(error, "hint", "") or "mlflow-dvc doctor"
        text = f"{error}; run: {hint}"
        progress.warnings.append(("snapshot", f"the dirty tree is not kept: {text}"))
        if isinstance(error, FullError):
            progress.code = code._replace(incomplete=(text,))
        return
    if made is not None:
        # The tag states the tree as it ran: one that lacks something is another.
        tree = None if made.incomplete else made.tree
        progress.code = code._replace(tree=tree, snapshot=made.commit, incomplete=made.incomplete)


@contextmanager
def _part(progress: Progress, name: str) -> Iterator[None]:
    """Keep a fault in one part of the capture from taking the others' answers with it.

    What the part would have said is ``unknown`` then: the code beyond its commit, and the data.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - nothing that lies in a repository may end a run
        fault = f"{type(error).__name__}: {error}"
        text = f"{name} cannot be read ({fault}) and is unknown; run: mlflow-dvc status --hash"
        progress.warnings.append((f"fault in {name}", text))
        if name in ("the repository", "the data") and progress.data is None:
            progress.data = Data("", "", unread={name: fault})


def _saved(repo: DataRepo, stage: Stage | None, rules: Rules) -> Data:
    try:
        return capture_data(repo, stage, rules)
    finally:  # what was hashed until somebody interrupted it need not be hashed again
        repo.store.save()


def _repositories(
    begin: places.Start, facts: Facts, deadline: Deadline, progress: Progress
) -> tuple[Worktree | None, Status | None, DataRepo | None]:
    """Find the code's worktree and the DVC repository; Git looks at the one meanwhile."""
    warnings = progress.warnings
    code = places.find_code(begin, facts.git, deadline)
    if code is not None:  # known, should Git or the disk never answer
        progress.code = Code(code.toplevel, *gitdir.read_head(code))
    root = places.find_dvc_root(begin, code)
    if code is None:
        return None, None, DataRepo(root, facts, deadline, warnings) if root else None
    asked = Background(lambda: git_status(code, deadline, warnings))
    if root is not None:
        repo = DataRepo(root, facts, deadline, warnings)
        repo.look_ahead()
        return code, asked.result(), repo
    status = asked.result()
    root = _nested_root(code, status, facts, deadline, warnings) if status else None
    return code, status, DataRepo(root, facts, deadline, warnings) if root else None


def _nested_root(
    code: Worktree,
    status: Status,
    facts: Facts,
    deadline: Deadline,
    warnings: list[tuple[str, str]],
) -> str | None:
    """Return the only DVC repository below the code's toplevel; of several none can be meant."""
    try:
        tracked, _ = facts.git.metadata(code, deadline)
    except GitError as error:
        warnings.append(("git", error.message))
        return None
    roots = places.nested_dvc_roots(code.toplevel, [*tracked, *(status.untracked or ())])
    if len(roots) > 1:
        names = ", ".join(os.path.relpath(root, code.toplevel) for root in roots[:5])
        text = (
            f"there are several DVC repositories ({names}), and the run was started in none of "
            "them: it gets no data tags; name one: "
            f"export {places.REPO_VARIABLE}={shlex.quote(roots[0])}"
        )
        warnings.append(("several", text))
    return roots[0] if len(roots) == 1 else None
