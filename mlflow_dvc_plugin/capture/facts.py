"""What one process keeps between captures; every part checks itself what still holds."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

from mlflow_dvc_plugin.capture.code import GitFacts, stat_key
from mlflow_dvc_plugin.capture.dvcconfig import DvcConfig, config_files, read_config
from mlflow_dvc_plugin.capture.store import Store
from mlflow_dvc_plugin.config import Settings, read_settings, settings_identity

if TYPE_CHECKING:
    from mlflow_dvc_plugin.capture.snapshots import Snapshots


class Facts:
    """The facts of a process: of Git, of each DVC repository, of settings and configuration."""

    def __init__(self) -> None:
        self.git = GitFacts()
        self._stores: dict[str, Store] = {}
        self._settings: tuple[object, tuple[Settings, list[str]]] | None = None
        self._config: tuple[object, DvcConfig] | None = None

    @cached_property
    def snapshots(self) -> Snapshots:
        """What was kept of dirty trees; a clean one does not even import it."""
        from mlflow_dvc_plugin.capture.snapshots import Snapshots

        return Snapshots()

    def store(self, root: str) -> Store:
        """Return the store of the DVC repository at ``root``, with what others have learned."""
        if root not in self._stores:
            self._stores[root] = Store(root)
        self._stores[root].refresh()
        return self._stores[root]

    def settings(self, toplevel: str | None) -> tuple[Settings, list[str]]:
        """Return the settings and what is wrong with them, read again when they changed."""
        key = settings_identity(toplevel)
        if self._settings is None or self._settings[0] != key:
            self._settings = (key, read_settings(toplevel))
        return self._settings[1]

    def config(self, root: str) -> DvcConfig:
        """Return DVC's configuration, read again when one of its files changed."""
        dvc_dir = os.path.join(root, ".dvc")
        key = (root, *map(stat_key, config_files(dvc_dir)))
        if self._config is None or self._config[0] != key:
            self._config = (key, read_config(dvc_dir))
        return self._config[1]
