"""What a DVC remote lacks of the objects that are wanted there, and bringing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from mlflow_dvc_plugin.dvcrepo.remote import Remote, Store
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.storage import Progress, counter, look_up, unreachable
from mlflow_dvc_plugin.sync.objects import is_whole, read_object
from mlflow_dvc_plugin.sync.rows import rows_of

Origin = tuple[str, str]  # the first commit that needs an object, and the path it has there


@dataclass
class Plan:
    """What to do for one remote; objects by hash. ``upload`` maps it to a file in the cache.

    ``members`` maps a directory to upload to its objects: it goes up after them, and only with all
    of them, because a remote that has it is taken to have them. ``missing`` are in neither place.
    """

    remote: Remote
    legacy: bool
    upload: dict[str, str] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)
    missing: dict[str, Origin] = field(default_factory=dict)
    unknown: dict[str, tuple[Origin, str]] = field(default_factory=dict)


def plan(
    store: Store, remote: Remote, legacy: bool, wanted: Mapping[str, Origin], progress: Progress
) -> Plan:
    """Ask the remote for each object once and look in the cache for what it lacks.

    The members of a directory are asked for only when the remote has not got the directory.
    Raises MlflowDvcError when the remote does not answer.
    """
    result = Plan(remote, legacy)
    inside: dict[str, Origin] = {}
    for name, path in _from_cache(result, store, wanted, progress):
        if name.endswith(".dir"):
            commit, folder = wanted[name]
            result.members[name] = set()
            for relpath, member in _listing(path, name).items():
                result.members[name].add(member)
                if member not in wanted:
                    inside.setdefault(member, (commit, f"{folder}/{relpath}"))
    _from_cache(result, store, inside, progress)
    return result


def _from_cache(
    result: Plan, store: Store, wanted: Mapping[str, Origin], progress: Progress
) -> list[tuple[str, str]]:
    """Note where each object that the remote lacks is to come from; return (hash, path) of those.

    What is damaged counts as missing: uploaded, it would become everybody's.
    """
    absent = sorted(_lacking(result, wanted, progress))
    paths = [(name, store.cached(name, result.legacy)) for name in absent]
    there = [(name, path) for name, path in paths if path]
    with ThreadPoolExecutor() as pool:
        whole = list(pool.map(lambda item: is_whole(item[1], item[0], result.legacy), there))
    sound = [item for item, good in zip(there, whole, strict=True) if good]
    result.upload.update(sound)
    for name, place in paths:
        if name not in result.upload:
            commit, path = wanted[name]
            result.missing[name] = (commit, f"{path} [damaged in the cache]" if place else path)
    return sound


def _lacking(result: Plan, wanted: Mapping[str, Origin], progress: Progress) -> set[str]:
    done = counter(progress, "looking for objects", len(wanted))
    found = look_up(result.remote, wanted, result.legacy, done)
    for name, reason in found.unknown.items():
        result.unknown[name] = (wanted[name], reason)
    return found.absent


def _listing(path: str, name: str) -> Mapping[str, str]:
    """Return relative path -> md5 of a directory, from its object in the cache."""
    try:
        return rows_of(read_object(path), name)
    except (OSError, ValueError) as error:
        raise MlflowDvcError(
            f"{path} is damaged: {error}", "dvc fetch --force, or dvc add"
        ) from error


def carry_out(result: Plan, progress: Progress) -> int:
    """Upload what the remote lacks, files first, and return how many objects that were.

    Raises MlflowDvcError; what has arrived by then stays, and the next push goes on from there.
    """
    files = {name: path for name, path in result.upload.items() if name not in result.members}
    gone = result.missing.keys() | result.unknown.keys()
    whole = {
        name: result.upload[name] for name, inside in result.members.items() if not inside & gone
    }
    total = len(files) + len(whole)
    done = counter(progress, "uploading objects", total)
    _send(result, files, done)
    _send(result, whole, done)
    return total


def _send(result: Plan, sources: Mapping[str, str], done: Callable[[], None]) -> None:
    try:
        failed = result.remote.upload(sources, result.legacy, done)
    except Exception as error:
        # Each kind of storage has exceptions of its own.
        raise unreachable(result.remote, error) from error
    for reason in failed.values():
        told = unreachable(result.remote, reason)
        text = f"{told.message}\n{len(failed)} of {len(sources)} objects did not arrive"
        raise MlflowDvcError(text, told.hint) from reason
