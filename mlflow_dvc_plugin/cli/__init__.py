"""The command ``mlflow-dvc``: one module for each verb, loaded when it is asked for.

The one place that turns errors into ``error: …``, ``hint: …`` and an exit code: 0 fine, 1 found a
problem, 2 usage, 130 interrupted.
"""

from __future__ import annotations

import gc
import importlib
import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import click

from mlflow_dvc_plugin.cli.text import fail
from mlflow_dvc_plugin.errors import MlflowDvcError

VERBS = (
    "backfill", "completion", "demo", "diff", "doctor", "hooks", "install", "prune", "push",
    "restore", "runs", "show", "status", "sync", "tag", "uninstall", "verify",
)  # fmt: skip
_PROGRAM = "mlflow-dvc"
_OBJECTS = 50_000  # made, and not freed, before the young ones are looked through
_DISTRIBUTIONS = {"git": "GitPython", "sklearn": "scikit-learn", "yaml": "PyYAML"}


class _Verbs(click.Group):
    """Import a verb's module when the verb is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"{__name__}.{cmd_name}")
        found: click.Command = module.command
        return found


@click.command(
    cls=_Verbs,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  mlflow-dvc status                  what would a run started here carry?
  mlflow-dvc status --hash           the same, comparing data of any size
  mlflow-dvc sync                    let the data follow the code
  mlflow-dvc runs HEAD               the runs of a commit, also those made just before it
  mlflow-dvc show 3f2a...            where are this run's code and data?
  mlflow-dvc diff 3f2a... 91bc...    what differs between two runs?
  mlflow-dvc verify 3f2a...          could this run be brought back?
  mlflow-dvc restore 3f2a...         bring back its code and data, beside the current work
  mlflow-dvc push 3f2a...            share a run's code and data
  mlflow-dvc prune                   drop the snapshots of deleted runs
  mlflow-dvc tag 3f2a...             tag a run that was made without the plugin
  mlflow-dvc backfill                tag the runs from before the plugin
  mlflow-dvc doctor                  is everything set up?
  mlflow-dvc install                 let the data follow Git, by hooks
  mlflow-dvc uninstall               take the hooks away
  mlflow-dvc hooks status            are the hooks installed and current?
  mlflow-dvc demo                    build a small project and look at its runs
  mlflow-dvc completion bash         shell completion

\b
Exit codes: 0 fine, 1 found a problem, 2 wrong usage, 130 interrupted.""",
)
@click.version_option(package_name="mlflow-dvc-plugin", prog_name=_PROGRAM)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Know the Git commit and the DVC data of every MLflow run."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def run() -> NoReturn:
    """Be the process: run the command and end with its exit code."""
    _open_streams()
    code = main()
    # The process ends: to look for garbage in all that MLflow has loaded would take half a second.
    gc.freeze()
    sys.exit(code)


def _open_streams() -> None:
    """Let no standard stream be missing (``2>&-``): the next file that is opened would be it.

    What a library prints would then go into that file, a database of runs maybe.
    """
    if None not in (sys.stdin, sys.stdout, sys.stderr):
        return
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(handle)
    nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - as long as the process lives
    sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names need not be text
    try:
        args = None if argv is None else list(argv)
        with _no_script(), _seldom_collected():
            code = cli.main(args, prog_name=_PROGRAM, standalone_mode=False)
    except click.ClickException as error:
        return fail(error.format_message(), _help(error), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except MlflowDvcError as error:
        return fail(error.message, error.hint)
    except OSError as error:
        return fail(f"the operating system refuses: {error}", "")
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name in ("", "mlflow_dvc_plugin"):
            raise
        return fail(
            f"this needs the library {name}, which is not installed here",
            f"{sys.executable} -m pip install {_DISTRIBUTIONS.get(name, name)}",
        )
    return code if isinstance(code, int) else 0


@contextmanager
def _no_script() -> Iterator[None]:
    """Hide the main script from the capture: this command is nobody's training script.

    Started from an environment inside the project, it would count as code that Git does not track.
    """
    program, argv = sys.modules["__main__"].__dict__, sys.argv
    file = program.pop("__file__", None)
    sys.argv = ["", *argv[1:]]
    try:
        yield
    finally:
        sys.argv = argv
        if file is not None:
            program["__file__"] = file


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Look for garbage less often: what MLflow and boto3 load lives as long as the command.

    By default Python goes through all of it again and again, for a fifth of the time of `verify`.
    """
    before = gc.get_threshold()
    if 0 < before[0] < _OBJECTS:  # 0: never
        gc.set_threshold(_OBJECTS, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _help(error: click.ClickException) -> str:
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    return f"{ctx.command_path if ctx else _PROGRAM} --help"
