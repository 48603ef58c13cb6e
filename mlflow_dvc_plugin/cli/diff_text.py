"""A difference as a person reads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from mlflow_dvc_plugin.cli.text import amount, counted, day_and_minute, printable, shortened

if TYPE_CHECKING:
    from mlflow_dvc_plugin.lineage.codediff import CodeDiff, File
    from mlflow_dvc_plugin.lineage.datadiff import Change
    from mlflow_dvc_plugin.lineage.diff import Diff
    from mlflow_dvc_plugin.lineage.outputdiff import DataDiff, OutputDiff
    from mlflow_dvc_plugin.lineage.record import Record

_COLOURS = {
    "added": "green", "removed": "red", "changed": "yellow", "moved": "cyan", "unknown": "magenta",
}  # fmt: skip
_SHORT = 10


def show(found: Diff, names: Mapping[str, str], *, files: bool) -> None:
    """Print the difference; ``names`` are those of the experiments by id."""
    click.echo(f"first   {_run(found.first, names)}")
    click.echo(f"second  {_run(found.second, names) if found.second else 'what is here now'}")
    if found.code is not None:
        _show_code(found.code)
    if found.data is not None:
        _show_data(found.data, files)
    for title, values in (("parameters", found.params), ("metrics", found.metrics)):
        if values is not None:
            _show_values(title, values)


def _run(run: Record, names: Mapping[str, str]) -> str:
    parts = [run.run_id, run.name, names.get(run.experiment_id, "")]
    if run.start is not None:
        parts.append(day_and_minute(run.start))
    return "  ".join(printable(part) for part in parts if part)


def _show_code(code: CodeDiff) -> None:
    lines = [(one.added or 0, one.deleted or 0) for one in code.files]
    if code.files:
        more, less = sum(one for one, _ in lines), sum(one for _, one in lines)
        _title("code", f"{counted(len(code.files), 'file')}, +{more} -{less} lines")
    else:
        _title("code", {True: "the same", None: "unknown"}.get(code.same, ""))
    if code.unknown:
        click.echo(f"  not compared: {printable(code.unknown)}")
    elif code.notes and not code.files:
        click.echo("  no difference in what is known of it")
    for note in code.notes:
        click.echo(f"  {printable(note)}")
    for one in code.files:
        click.echo(f"  {_kind(one.kind)} {_names(one.path, one.was)}  {_lines(one)}".rstrip())
    _show_commits(code)
    if code.patch:
        click.echo()
        click.echo(code.patch, nl=False)


def _lines(one: File) -> str:
    counts = "binary" if one.added is None else f"+{one.added} -{one.deleted}"
    counts += "  (untracked)" if one.untracked else ""
    return f"{counts}  mode {one.mode}" if one.mode else counts


def _show_commits(code: CodeDiff) -> None:
    if code.only is None:
        click.echo("  commits between: unknown")
        return
    first, second = code.only
    if not first and not second:
        return
    click.echo(f"  commits: {first} only in the first (<), {second} only in the second (>)")
    for one in code.commits:
        sign = "<" if one.first else ">"
        click.echo(f"    {sign} {one.id[:_SHORT]} {shortened(printable(one.subject))}")
    if len(code.commits) < first + second:
        click.echo(f"    and {first + second - len(code.commits)} more")


def _show_data(data: DataDiff, files: bool) -> None:
    words = {True: "the same", None: "unknown", False: "different"}
    rest = f" ({counted(data.equal, 'output')} the same)" if data.equal and data.outputs else ""
    _title("data", words[data.same] + rest)
    for gap in data.gaps:
        click.echo(f"  {printable(gap)}")
    for one in data.outputs:
        _show_output(one, files)
    if any(one.files for one in data.outputs) and not files:
        click.echo("  each file: --files")


def _show_output(one: OutputDiff, files: bool) -> None:
    role = " (product)" if one.product else ""
    hashes = "" if one.kind == "moved" else f"  {_hash(one.before)} -> {_hash(one.after)}"
    if one.files is None:
        size = _sizes(one.size_before, one.size_after, one.before, one.after)
        hashes += f"  {size}" if size else ""
    click.echo(f"  {_kind(one.kind)} {_names(one.path, one.was)}{role}{hashes}")
    if one.note:
        click.echo(f"            {printable(one.note)}")
    if one.files is None:
        return
    click.echo(f"            {_summary(one.files, one.same_files)}")
    for change in one.files if files else ():
        size = _sizes(change.size_before, change.size_after, change.before, change.after)
        name = _names(change.path, change.was)
        click.echo(f"            {_kind(change.kind)} {name}  {size}".rstrip())


def _summary(changes: Sequence[Change], same: int) -> str:
    parts = []
    for kind in ("added", "removed", "changed", "moved"):
        chosen = [one for one in changes if one.kind == kind]
        if not chosen:
            continue
        text = f"{counted(len(chosen), 'file')} {kind}"
        if kind == "changed":
            old = _total(one.size_before for one in chosen)
            text += f" ({old} -> {_total(one.size_after for one in chosen)})"
        elif kind != "moved":
            sizes = (one.size_after if kind == "added" else one.size_before for one in chosen)
            text += f" ({_total(sizes)})"
        parts.append(text)
    return ", ".join([*parts, f"{same} the same"])


def _total(sizes: Iterable[int | None]) -> str:
    found = list(sizes)
    unknown = found.count(None)
    total = amount(sum(size for size in found if size is not None))
    if unknown == len(found):
        return "size unknown"
    return f"{total}, size of {unknown} unknown" if unknown else total


def _sizes(before: int | None, after: int | None, old: str | None, new: str | None) -> str:
    sizes = [size for size, there in ((before, old), (after, new)) if there is not None]
    if set(sizes) == {None}:
        return "size unknown"
    return " -> ".join("unknown" if size is None else amount(size) for size in sizes)


def _show_values(title: str, values: Mapping[str, tuple[Any, Any]]) -> None:
    _title(title, f"{len(values)} different" if values else "the same")
    rows = [("name", "first", "second"), *((name, *pair) for name, pair in values.items())]
    cells = [[_cell(value) for value in row] for row in (rows if values else ())]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(f"  {line}".rstrip())


def _cell(value: object) -> str:
    return "-" if value is None else shortened(printable(str(value)))


def _title(name: str, text: str) -> None:
    click.echo(f"{click.style(name, bold=True)}: {text}")


def _kind(kind: str) -> str:
    return click.style(f"{kind:9}", fg=_COLOURS[kind])


def _names(path: str, was: str | None) -> str:
    return f"{printable(was)} => {printable(path)}" if was else printable(path)


def _hash(value: str | None) -> str:
    return shortened(printable(value), 36)[:_SHORT] if value else "nothing"
