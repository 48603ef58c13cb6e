"""What came of bringing a run back."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlflow_dvc_plugin.lineage.gathered import Missing


@dataclass
class Outcome:
    """What came back. ``folders`` maps a folder to its commit ("" for data alone).

    ``checked`` maps the pieces that are there as the run's tags say to their hashes; ``lacking``
    what is not so to the reason; ``missing`` are pieces that cannot be had anywhere: then nothing
    was made. ``fetched`` objects came, or would come, ``size`` bytes; ``back`` is what HEAD was.
    """

    run_id: str
    folders: dict[str, str] = field(default_factory=dict)
    commits_from: dict[str, str] = field(default_factory=dict)
    checked: dict[str, str] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)
    fetched: int = 0
    size: int | None = 0
    notes: list[str] = field(default_factory=list)
    back: str | None = None
    made: bool = False

    @property
    def whole(self) -> bool:
        """Tell whether all of it is there, or would be."""
        return not self.lacking and not self.missing
