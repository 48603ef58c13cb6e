"""Ask `mlflow-dvc verify`, and the places that it asks."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Verify(Protocol):
    """Run `mlflow-dvc verify *args`; return exit code, verdict and the reason of one run."""

    def __call__(self, *args: str) -> tuple[int, str, str]: ...


def object_in(folder: Path, value: str) -> Path:
    """Return where a cache or a local remote keeps the object."""
    return folder / "files/md5" / value[:2] / value[2:]


def use_bucket(repo: Path, url: str, endpoint: str, key: str, secret: str, **more: str) -> None:
    """Make a bucket the project's default DVC remote, in its local settings."""
    settings = {"url": url, "endpointurl": endpoint, "region": "us-east-1"}
    settings |= {"access_key_id": key, "secret_access_key": secret} | more
    lines = "".join(f"    {name} = {value}\n" for name, value in settings.items())
    (repo / ".dvc/config.local").write_text(
        f"[core]\n    remote = far\n['remote \"far\"']\n{lines}"
    )


def put(folder: Path, cache: Path, values: list[str]) -> None:
    """Copy objects of a cache into a remote on disk, or the folder of a bucket."""
    for value in values:
        there = object_in(folder, value)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(object_in(cache, value).read_bytes())
