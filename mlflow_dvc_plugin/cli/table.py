"""A table on standard output."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

_WIDE = 2000  # columns, where nobody looks: a pipe must not cut


def print_table(
    rows: Sequence[Mapping[str, str]], *, whole: Collection[str] = (),
    colours: Mapping[str, str] | None = None,
) -> None:  # fmt: skip
    """Print the rows (column -> text), which have the same columns; none prints nothing.

    The columns named in ``whole`` are not folded; ``colours`` are those of some texts.
    """
    if not rows:
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in rows[0]:
        table.add_column(Text(name), overflow="fold", no_wrap=name in whole)
    for row in rows:
        table.add_row(*(Text(text, style=(colours or {}).get(text, "")) for text in row.values()))
    console = Console()
    (console if console.is_terminal else Console(width=_WIDE)).print(table)
