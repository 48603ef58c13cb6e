"""``mlflow-dvc completion``: print the script that completes verbs and options."""

from __future__ import annotations

import click

_VARIABLE = "_MLFLOW_DVC_COMPLETE"
_EXAMPLES = """\b
Examples:
  eval "$(mlflow-dvc completion bash)"           in ~/.bashrc
  eval "$(mlflow-dvc completion zsh)"            in ~/.zshrc, after compinit
  mlflow-dvc completion fish > ~/.config/fish/completions/mlflow-dvc.fish
"""


@click.command("completion", epilog=_EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Print the script for shell completion."""
    from click.shell_completion import get_completion_class

    program = ctx.find_root()
    complete = get_completion_class(shell)
    if complete is not None:
        name = program.info_name or "mlflow-dvc"
        click.echo(complete(program.command, {}, name, _VARIABLE).source())
    return 0
