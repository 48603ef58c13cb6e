"""What a raw tag does to `start_run`: each limit our tags keep to is a limit of a real store.

MLflow validates nothing when a run is created, so the store decides. When one of these starts to
pass, MLflow has changed and the limit can be given up; `test_stores` proves that we keep them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import mlflow
import pytest
from mlflow.tracking import MlflowClient

FITS: Mapping[str, object] = {"key": "value"}
LONG_VALUE = {"key": "v" * 8001}
LONG_KEY = {"k" * 251: "value"}
NUL = {"key": "a\0b"}
SURROGATE = {"key": "data/\udcff.csv"}
BAD_KEY = {"key(with)brackets": "value"}
UNNORMALISED = {"a//b": "value"}
PREFIX = {"a": "value", "a/b": "value"}

SQLITE, SERVER, POSTGRESQL, FILES = "tracking_sqlite", "mlflow_server", "postgresql", "file_store"
EVERY = (SQLITE, SERVER, POSTGRESQL, FILES)
SQL = (SQLITE, POSTGRESQL)
ROWS: tuple[tuple[str, Mapping[str, object], tuple[str, ...]], ...] = (
    ("nothing wrong", FITS, ()),
    ("value over 8,000", LONG_VALUE, (POSTGRESQL,)),
    ("key over 250", LONG_KEY, (POSTGRESQL,)),
    ("NUL in a value", NUL, (POSTGRESQL,)),
    ("value None", {"key": None}, (SERVER,)),
    ("value int", {"key": 1}, (SERVER,)),
    ("value bool", {"key": True}, (SERVER,)),
    ("value dict", {"key": {"a": "b"}}, (*SQL, SERVER)),
    ("lone surrogate", SURROGATE, EVERY),
    ("character outside the pattern", BAD_KEY, (FILES,)),
    ("not normalised", UNNORMALISED, (FILES,)),
    ("one key inside another", PREFIX, (FILES,)),
)


@pytest.mark.parametrize(
    ("tags", "fails_on"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_a_raw_tag_fails_where_the_table_says(
    tags: Mapping[str, object], fails_on: tuple[str, ...], store: str
) -> None:
    """A plain `create_run` takes the same path as `start_run` with a provider's tags."""
    client = MlflowClient()
    if store in fails_on:
        with pytest.raises(Exception):  # noqa: B017 the kind differs by store and driver
            client.create_run("0", tags=dict(tags))
    else:
        client.create_run("0", tags=dict(tags))


@pytest.fixture
def add_provider(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Add a provider of these raw tags to MLflow's, for this test."""
    from mlflow.tracking.context import registry
    from mlflow.tracking.context.abstract_context import RunContextProvider

    def use(tags: dict[str, str]) -> None:
        class Raw(RunContextProvider):  # type: ignore[misc]
            def in_context(self) -> bool:
                return True

            def tags(self) -> dict[str, str]:
                return tags

        providers = registry._run_context_provider_registry
        monkeypatch.setattr(providers, "_registry", [*providers, Raw()])

    return use


def test_a_provider_of_raw_tags_stops_the_users_run(
    file_store: str, add_provider: Callable[[dict[str, str]], None]
) -> None:
    """The way a plug-in's bad tag goes: through `start_run` itself."""
    add_provider({"key(with)brackets": "value"})
    with pytest.raises(mlflow.exceptions.MlflowException), mlflow.start_run():
        pass


def test_tags_of_more_than_64_kilobytes_stop_log_input(
    tracking_sqlite: str, add_provider: Callable[[dict[str, str]], None]
) -> None:
    import pandas

    add_provider({f"key{number}": "v" * 4900 for number in range(14)})
    data = mlflow.data.from_pandas(pandas.DataFrame({"x": [1]}))
    with mlflow.start_run(), pytest.raises(mlflow.exceptions.MlflowException):
        mlflow.log_input(data)
