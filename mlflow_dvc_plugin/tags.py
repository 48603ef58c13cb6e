"""Provenance to tags: names, values and limits. No I/O.

The limits are those that some MLflow store enforces only after the run was asked for, and then by
failing the user's ``start_run`` (``mlflow/utils/validation.py``; PostgreSQL's columns; REST's
message types).
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping

from mlflow_dvc_plugin.provenance import Code, Data, OutputState, Provenance

SCHEMA = "1"
MAX_KEY = 250
MAX_VALUE = 5000
MAX_TAGS = 50
MAX_TOTAL = 16_000
MAX_OUTPUT_TAGS = 20
# The manifest may take this much of the total; then its count stands for it.
_MAX_MANIFEST = 10_000
_MAX_LIST = 2000
_KEY = re.compile(r"^[/\w.\- :]*$", re.ASCII)
_CHUNK = re.compile(r"dvc\.manifest\.(?:\d+|count)\Z")
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<netloc>[^/]*)(?P<path>.*)\Z", re.DOTALL
)
_SCP = re.compile(r"(?P<user>[^/]*)@(?P<rest>[^/@:]+:.*)\Z", re.DOTALL)
UNKNOWN = "unknown"
COMMIT = "mlflow.source.git.commit"
BRANCH = "mlflow.source.git.branch"
REPO_URL = "mlflow.source.git.repoURL"
FIXED_KEYS = frozenset({
    "dvc.changed", "dvc.exp", "dvc.hash", "dvc.manifest", "dvc.missing", "dvc.products",
    "dvc.remote", "dvc.rev", "dvc.schema", "dvc.source", "dvc.stage", "dvc.status",
})  # fmt: skip


def to_tags(provenance: Provenance, output_tags: int = MAX_OUTPUT_TAGS) -> dict[str, str]:
    """Return the tags that state the provenance, inside every limit of the contract.

    ``output_tags`` is how many outputs get a tag of their own, at most 20.
    """
    tags: dict[str, str] = {}
    if provenance.code is not None:
        tags.update(_code_tags(provenance.code))
    if provenance.stage:
        tags["dvc.stage"] = provenance.stage
    if provenance.experiment:
        tags["dvc.exp"] = provenance.experiment
    if provenance.data is not None:
        tags.update(_data_tags(provenance.data, min(output_tags, MAX_OUTPUT_TAGS)))
    if not tags:
        return {}
    tags["dvc.schema"] = SCHEMA
    tags["dvc.source"] = provenance.source
    return _within_limits(tags)


def data_hash(hashes: Mapping[str, str]) -> str:
    """Return ``dvc.hash``: md5 over the sorted ``path NUL hash LF`` lines."""
    lines = b"".join(
        _raw(path) + b"\0" + value.encode() + b"\n" for path, value in sorted(hashes.items())
    )
    return hashlib.md5(lines, usedforsecurity=False).hexdigest()


def output_keys(paths: Iterable[str]) -> dict[str, str]:
    """Return path → tag key of its own, ``dvc.<dotted path>``, collisions told apart."""
    plain = {path: "dvc." + _dotted(path) for path in paths}
    # MySQL compares keys without regard to case, and refuses a run with two that are equal there.
    times = Counter(map(str.lower, plain.values()))
    keys = {
        path: f"{key}_{_short(path)}" if times[key.lower()] > 1 or _reserved(key.lower()) else key
        for path, key in plain.items()
    }
    # Four digits can collide too, or meet another path's plain key: then neither may speak.
    times = Counter(map(str.lower, keys.values()))
    return {path: key for path, key in keys.items() if times[key.lower()] == 1}


def public_url(url: str) -> str:
    """Return the URL without user, password, token, query string or fragment.

    A form in which a secret could hide elsewhere is ``unknown``. The user ``git`` names nobody.
    """
    plain = re.split(r"[?#;]", url, maxsplit=1)[0]
    if match := _URL.match(plain):
        host = match["netloc"].rpartition("@")[2]
        shown, hidden = f"{match['scheme']}://{host}{match['path']}", match["path"]
    elif match := _SCP.match(plain):
        user = "git@" if match["user"] == "git" else ""
        shown, hidden = f"{user}{match['rest']}", match["rest"]
    else:
        shown = plain
        hidden = "" if plain.startswith(("/", ".", "~")) and plain[:2] != "//" else plain
    return UNKNOWN if any(mark in hidden for mark in ("@", "::", "://")) else shown


def _code_tags(code: Code) -> dict[str, str]:
    dirty = UNKNOWN if code.dirty is None else str(code.dirty).lower()
    tags = {"mlflow.source.git.dirty": dirty, "git.dirty": dirty}
    if code.commit:
        tags[COMMIT] = code.commit
    if code.branch:
        tags[BRANCH] = code.branch
    if code.remote_url:
        tags[REPO_URL] = public_url(code.remote_url)
    if code.tree:
        tags["git.tree"] = code.tree
    if code.untracked:
        tags["git.untracked"] = str(code.untracked)
    if code.snapshot:
        tags["git.snapshot"] = code.snapshot
    if code.incomplete:
        tags["git.snapshot.incomplete"] = _capped_list(code.incomplete)
    return tags


def _data_tags(data: Data, output_tags: int) -> dict[str, str]:
    tags: dict[str, str] = {}
    hashes = {state.path: state.hash for state in data.inputs if state.hash is not None}
    if hashes and len(hashes) == len(data.inputs) and not data.unread:
        tags["dvc.hash"] = data_hash(hashes)
    if data.status is not None:
        tags["dvc.status"] = data.status
    if data.missing:
        tags["dvc.missing"] = _capped_list(state.path for state in data.missing)
    changed = [state.path for state in data.inputs if state.status != "clean"]
    if changed or data.unread:
        tags["dvc.changed"] = _capped_list([*data.unread, *changed])
    if data.rev:
        tags["dvc.rev"] = data.rev
    if data.remote:
        tags["dvc.remote"] = public_url(data.remote)
    tags.update(_manifest_tags(hashes))
    tags.update(_output_tags(hashes, output_tags))
    if products := _product_hashes(data.products):
        tags["dvc.products"] = _compact(products)
    return tags


def _output_tags(hashes: Mapping[str, str], limit: int) -> dict[str, str]:
    keys = output_keys(sorted(hashes))
    return {key: hashes[path] for path, key in list(keys.items())[:limit]}


def _product_hashes(products: Iterable[OutputState]) -> dict[str, str]:
    return {state.path: state.hash for state in products if state.hash is not None}


def _manifest_tags(hashes: Mapping[str, str]) -> dict[str, str]:
    """Return the manifest in one value, in numbered chunks of whole JSON, or as its count."""
    if not hashes:
        return {}
    whole = _compact(hashes)
    if len(whole) <= MAX_VALUE:
        return {"dvc.manifest": whole}
    if len(whole) <= _MAX_MANIFEST:
        values = _chunks(hashes)
        if max(map(len, values)) <= MAX_VALUE:
            return {f"dvc.manifest.{number}": value for number, value in enumerate(values, 1)}
    return {"dvc.manifest.count": str(len(hashes))}


def _chunks(hashes: Mapping[str, str]) -> list[str]:
    """Split the manifest into JSON objects of at most MAX_VALUE characters where a path allows."""
    chunks: list[dict[str, str]] = [{}]
    room = MAX_VALUE
    for path, value in sorted(hashes.items()):
        cost = len(_compact({path: value}))
        if cost > room and chunks[-1]:
            chunks.append({})
            room = MAX_VALUE
        chunks[-1][path] = value
        room -= cost
    return [_compact(chunk) for chunk in chunks]


def _within_limits(tags: dict[str, str]) -> dict[str, str]:
    """Drop what some store would refuse, then what the total has no room for, least first."""
    tags = {key: value for key, value in tags.items() if _valid(key, value)}
    own = [key for key in tags if key.startswith("dvc.") and _is_output_key(key)]
    for key in ["dvc.products", *reversed(own)]:
        if len(tags) <= MAX_TAGS and _total(tags) <= MAX_TOTAL:
            break
        tags.pop(key, None)
    return tags


def _is_output_key(key: str) -> bool:
    return key not in FIXED_KEYS and _CHUNK.match(key) is None


def _total(tags: Mapping[str, str]) -> int:
    return sum(len(key) + len(value.encode()) for key, value in tags.items())


def _valid(key: str, value: str) -> bool:
    return (
        len(key) <= MAX_KEY
        and _KEY.match(key) is not None
        and posixpath.normpath(key) == key
        and 0 < len(value) <= MAX_VALUE
        and not any(char in value for char in "\0\n\r")
        and not any("\ud800" <= char <= "\udfff" for char in value)
    )


def _compact(value: object) -> str:
    """Return compact JSON in ASCII: a lone surrogate or a newline in a path is escaped."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _capped_list(paths: Iterable[str]) -> str:
    """Return a JSON list of as many paths as fit, with how many more there are behind them."""
    everything = sorted(paths)
    text = _compact(everything)
    kept = len(everything)
    while len(text) > _MAX_LIST and kept:
        kept = kept // 2
        text = _compact([*everything[:kept], f"... and {len(everything) - kept} more"])
    return text


def _dotted(path: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]", "_", path.replace("/", "."))


def _short(path: str) -> str:
    return hashlib.md5(_raw(path), usedforsecurity=False).hexdigest()[:4]


def _raw(path: str) -> bytes:
    """Return the bytes of the file's name; YAML can also spell surrogates that no file name has."""
    try:
        return path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return path.encode("utf-8", "surrogatepass")


def _reserved(key: str) -> bool:
    return key in FIXED_KEYS or _CHUNK.match(key) is not None
