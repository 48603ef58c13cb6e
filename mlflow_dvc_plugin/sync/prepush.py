"""pre-push: no commit leaves without its data."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlflow_dvc_plugin import gitdir
from mlflow_dvc_plugin.config import VARIABLES, read_settings
from mlflow_dvc_plugin.gitdir import Worktree
from mlflow_dvc_plugin.sync.outgoing import introduced, new_commits, pushed, told_by_framework

if TYPE_CHECKING:
    from mlflow_dvc_plugin.dvcrepo.remote import Store
    from mlflow_dvc_plugin.storage import Progress
    from mlflow_dvc_plugin.sync.outgoing import Outgoing
    from mlflow_dvc_plugin.sync.upload import Origin, Plan

_SHOWN = 50
# (DVC repository, its remote, whether DVC 2.x made the objects) -> hash -> who needs it
Groups = dict[tuple[str, str | None, bool], dict[str, "Origin"]]


def pre_push(args: Sequence[str]) -> int:
    """Upload what the pushed commits need; ``args`` are the remote's name and URL.

    The pre-commit framework gives no arguments, and an empty standard input.
    """
    lines = list(sys.stdin)
    by_framework = not lines and len(args) != 2 and bool(os.environ.get("PRE_COMMIT"))
    local, known = pushed(lines)
    worktree = gitdir.find_worktree(os.getcwd()) if local or by_framework else None
    if worktree is None:
        return 0
    if by_framework:
        local, known, args = told_by_framework(worktree.toplevel, os.environ)
        if not local:
            _say("the pre-commit framework names no pushed commit: no data was looked at")
    # Git gives the URL twice when it is not a configured remote that is pushed to.
    named = args[0] if len(args) == 2 and args[0] != args[1] else None
    commits = new_commits(worktree.toplevel, local, known, named)
    if not commits:
        return 0
    outgoing = introduced(worktree.toplevel, commits)
    for place, reason in outgoing.broken.items():
        _say(f"warning: {place} cannot be read ({reason}): whether its data is there is unknown")
    if not outgoing.wanted:
        return 0
    plans = _plans(worktree, _groups(outgoing), commits[-1])
    _warn_unknown(plans)
    blocked = _missing(worktree, plans, local, known)
    return 1 if blocked else _upload(plans)


def _groups(outgoing: Outgoing) -> Groups:
    groups: Groups = {}
    for wanted, origin in outgoing.wanted.items():
        key = (wanted.root, wanted.remote, wanted.legacy)
        groups.setdefault(key, {}).setdefault(wanted.hash, origin)
    return groups


def _plans(worktree: Worktree, groups: Groups, tip: str) -> list[Plan]:
    """Return what each remote lacks; says why where nothing can be pushed."""
    from mlflow_dvc_plugin.sync.upload import plan

    stores: dict[str, Store] = {}
    plans = []
    for (root, own, legacy), objects in _by_name(worktree, groups, tip, stores).items():
        remote = stores[root].remote(own or "")
        if remote.versioned:
            _say(
                f"DVC remote '{remote.name}' keeps versions of files (version_aware or worktree): "
                "its data is not pushed here, because dvc push to it rewrites .dvc files"
            )
            continue
        with _progress() as show:
            plans.append(plan(stores[root], remote, legacy, objects, show))
    return plans


def _by_name(worktree: Worktree, groups: Groups, tip: str, stores: dict[str, Store]) -> Groups:
    """Put the default remote's name where an output names none; leave out what has no remote."""
    from mlflow_dvc_plugin.sync.stores import store_of

    named: Groups = {}
    for (root, own, legacy), objects in groups.items():
        if root not in stores:
            stores[root] = store_of(worktree, root, tip)
        name = own or stores[root].default
        if name is None:
            where = f" in {root}" if root else ""
            _say(
                f"no default DVC remote is configured{where}: the data of these commits stays here"
            )
            continue
        found = named.setdefault((root, name, legacy), {})
        for wanted, origin in objects.items():
            found.setdefault(wanted, origin)
    return named


def _upload(plans: Iterable[Plan]) -> int:
    from mlflow_dvc_plugin.sync.upload import carry_out

    for plan in plans:
        if not plan.upload:
            continue
        with _progress() as show:
            count = carry_out(plan, show)
        if count:
            _say(f"{count} object{'s' * (count != 1)} uploaded to DVC remote '{plan.remote.name}'")
    return 0


def _warn_unknown(plans: Iterable[Plan]) -> None:
    for plan in plans:
        if plan.unknown:
            name = plan.remote.name
            (commit, path), reason = next(iter(plan.unknown.values()))
            _say(
                f"warning: DVC remote '{name}' does not say whether it has {len(plan.unknown)} of "
                f"the objects, such as {path} of {commit[:10]} ({reason}): unknown, not uploaded"
            )


def _missing(
    worktree: Worktree, plans: Iterable[Plan], local: Sequence[str], known: Sequence[str]
) -> bool:
    """Name what is in neither cache nor remote; return whether that stops the push."""
    lost = {
        (plan.remote.name, name): origin for plan in plans for name, origin in plan.missing.items()
    }
    if not lost:
        return False
    allowed = read_settings(worktree.toplevel)[0].allow_missing
    nowhere = set(new_commits(worktree.toplevel, local, known, None))
    ours = {key: origin for key, origin in lost.items() if origin[0] in nowhere}
    others = {key: origin for key, origin in lost.items() if origin[0] not in nowhere}
    _list("warning", "that another Git remote has the commit of", others)
    _list("warning" if allowed else "error", "that these commits need", ours)
    if ours and not allowed:
        _say(
            "hint: dvc add or dvc repro brings data back into the cache, dvc fetch from another "
            f"remote too; to push without it: {VARIABLES['allow_missing']}=1 git push"
        )
    return bool(ours) and not allowed


def _list(kind: str, which: str, lost: Mapping[tuple[str, str], Origin]) -> None:
    if not lost:
        return
    _say(f"{kind}: {len(lost)} object(s) {which} are in neither the cache nor the DVC remote:")
    for (remote, name), (commit, path) in list(lost.items())[:_SHOWN]:
        _say(f"  {commit[:10]} {path} ({name}, remote '{remote}')")
    if len(lost) > _SHOWN:
        _say(f"  and {len(lost) - _SHOWN} more")


@contextmanager
def _progress() -> Iterator[Progress]:
    """Give a counter that writes one line again and again, on a terminal only.

    The line is ended also when it stops half way: what is said next begins one of its own.
    """
    last, unfinished = 0.0, False

    def show(what: str, count: int, total: int) -> None:
        nonlocal last, unfinished
        now = time.monotonic()
        if sys.stderr.isatty() and (count == total or now - last > 0.1):
            last, unfinished = now, count != total
            end = "" if unfinished else "\n"
            print(f"\rmlflow-dvc: {what}: {count}/{total}", end=end, file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        if unfinished:
            print(file=sys.stderr)


def _say(line: str) -> None:
    print(line if line[:1] == " " else f"mlflow-dvc: {line}", file=sys.stderr)
