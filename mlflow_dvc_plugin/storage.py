"""Is an object in the remote: S3 through boto3, every other remote through DVC's file system."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mlflow_dvc_plugin.dvcrepo.remote import Remote
from mlflow_dvc_plugin.errors import MlflowDvcError
from mlflow_dvc_plugin.listing import look

_WORKERS = 16
# Seconds and attempts: an endpoint that never answers costs 2 x 10 s.
_TIMEOUT = 10
_ATTEMPTS = 2

# (what is counted, how many are done, of how many: 0 where nobody can tell)
Progress = Callable[[str, int, int], None]


def quiet(what: str, count: int, total: int) -> None:
    """Tell nobody."""


def counter(progress: Progress, what: str, total: int) -> Callable[[], None]:
    """Return a function to be called for each that is done."""
    count = 0

    def done() -> None:
        nonlocal count
        count += 1
        progress(what, count, total)

    return done


@dataclass
class Found:
    """What a remote says of the objects it was asked for; ``unknown`` maps one to the reason."""

    present: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    unknown: dict[str, str] = field(default_factory=dict)


def look_up(remote: Remote, names: Iterable[str], legacy: bool, done: Callable[[], None]) -> Found:
    """Ask the remote for each object once, in parallel. ``done`` is called for each answer.

    Raises MlflowDvcError, with a hint, when the remote does not answer.
    """
    asked = sorted(set(names))
    if not asked:
        return Found()
    found = Found()
    ask: Callable[[str], bool | str]
    if remote.protocol == "s3":
        bucket = _Bucket(remote)
        asked = bucket.listed({remote.object_path(name, legacy): name for name in asked}, found)
        for _ in range(len(found.present) + len(found.absent)):
            done()
        ask = bucket.ask
    else:
        ask = _other(remote)

    def one(name: str) -> tuple[str, bool | str]:
        return name, ask(remote.object_path(name, legacy))

    with ThreadPoolExecutor(_WORKERS) as pool:
        try:
            for name, answer in pool.map(one, asked):
                _note(found, name, answer)
                done()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return found


def _note(found: Found, name: str, answer: bool | str) -> None:
    if isinstance(answer, str):
        found.unknown[name] = answer
    elif answer:
        found.present.add(name)
    else:
        found.absent.add(name)


def _other(remote: Remote) -> Callable[[str], bool | str]:
    def ask(path: str) -> bool | str:
        try:
            return remote.exists(path)
        except PermissionError as error:
            return str(error)
        except Exception as error:
            # Each kind of storage has exceptions of its own.
            raise unreachable(remote, error) from error

    return ask


class _Bucket:
    """The objects of a remote on S3: many are looked for in a listing, few one by one."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._client = _client(remote)
        self._name = remote.path.partition("/")[0]

    def listed(self, wanted: Mapping[str, str], found: Found) -> list[str]:
        """Note what a listing tells; return the names that are left to be asked for one by one.

        ``wanted`` maps paths to names.
        """
        names = {path.partition("/")[2]: name for path, name in wanted.items()}
        told = look(self._page, names)
        found.present.update(map(names.__getitem__, told.present))
        found.absent.update(map(names.__getitem__, told.absent))
        return [names[key] for key in told.left]

    def _page(self, more: Mapping[str, Any]) -> Any:
        """Return a page of the listing, None for who may not list, or not from within."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return self._client.list_objects_v2(Bucket=self._name, **more)
        except ClientError as error:
            refused = error.response["Error"].get("Code") in ("AccessDenied", "403")
            code = error.response["ResponseMetadata"]["HTTPStatusCode"]
            # A directory bucket knows no StartAfter.
            if not refused and not ("StartAfter" in more and code in (400, 501)):
                raise unreachable(self._remote, error) from error
        except BotoCoreError as error:
            raise unreachable(self._remote, error) from error
        return None

    def ask(self, path: str) -> bool | str:
        """Ask for one path; a text is why that is unknown."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.head_object(Bucket=self._name, Key=path.partition("/")[2])
        except ClientError as error:
            code = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if code == 404:
                return False
            if code in (401, 403):
                return f"{code} {error.response['Error'].get('Message', '')}".strip()
            raise unreachable(self._remote, error) from error
        except BotoCoreError as error:
            raise unreachable(self._remote, error) from error
        return True


def _client(remote: Remote) -> Any:
    """Return a boto3 client with the remote's own credentials and endpoint."""
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        hint = "pip install 'mlflow-dvc-plugin[s3]'"
        raise MlflowDvcError(f"DVC remote '{remote.name}' needs boto3", hint) from error
    options = dict(remote.options)
    config: dict[str, Any] = {
        "connect_timeout": _TIMEOUT, "read_timeout": _TIMEOUT,
        "max_pool_connections": _WORKERS, "retries": {"total_max_attempts": _ATTEMPTS},
    }  # fmt: skip
    if options.get("anon"):
        from botocore import UNSIGNED

        config["signature_version"] = UNSIGNED
    try:
        session = boto3.session.Session(
            botocore_session=_session(),
            aws_access_key_id=options.get("key"),
            aws_secret_access_key=options.get("secret"),
            aws_session_token=options.get("token"),
            profile_name=options.get("profile"),
        )
        s3 = options.get("config_kwargs", {}).get("s3")
        return session.client(
            "s3", use_ssl=options.get("use_ssl", True), config=Config(s3=s3, **config),
            **options.get("client_kwargs", {}),
        )  # fmt: skip
    except (BotoCoreError, ValueError) as error:
        raise unreachable(remote, error) from error


def _session() -> Any:
    """Return a session that reads the dates of a listing in a tenth of the time."""
    from botocore.session import Session
    from botocore.utils import parse_timestamp

    def moment(value: Any) -> Any:
        try:
            return datetime.fromisoformat(value.replace("Z", "+00:00"))
        except (AttributeError, TypeError, ValueError):
            return parse_timestamp(value)

    session = Session()
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=moment)
    return session


def unreachable(remote: Remote, error: BaseException) -> MlflowDvcError:
    """Return the error for a person, with the command that mends it."""
    text = " ".join(str(error).split())[:300] or type(error).__name__
    name = remote.name
    if "NoSuchBucket" in text or "bucket does not exist" in text:
        hint = f"create the bucket, or: dvc remote modify {name} url <URL>"
    elif any(word in text for word in _KEY_WORDS):
        hint = (
            f"dvc remote modify --local {name} access_key_id <ID>, and secret_access_key <SECRET>"
        )
    else:
        hint = f"is the address right, and can it be reached? dvc remote modify {name} ..."
    return MlflowDvcError(f"DVC remote '{name}' ({remote.protocol}: {remote.path}): {text}", hint)


_KEY_WORDS = (
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "credentials", "Credentials", "ExpiredToken",
    "InvalidToken", "Forbidden", "AccessDenied", "Access Denied",
)  # fmt: skip
