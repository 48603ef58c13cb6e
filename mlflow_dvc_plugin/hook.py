"""What the Git hook scripts start: ``run`` with the arguments EVENT [ARGS...].

As ``python -m mlflow_dvc_plugin.hook`` it is the same, 4 ms later: so long takes what -m imports.
Beside the command line, not in it: a commit waits for this, and click alone takes 40 ms to import.
The working directory is the worktree's root, and standard input is Git's. The exit code is Git's to
use; of post-* events the scripts let only the 3 of ``strict_hooks`` through.
"""

from __future__ import annotations

import gc
import sys

from mlflow_dvc_plugin.errors import MlflowDvcError

TYPE_CHECKING = False  # typing's takes 8 ms to import
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def run() -> None:
    """End the process with what ``main`` returns."""
    code = main()
    gc.freeze()  # nobody needs the garbage that Python would look for
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the event asks for; return the hook's exit code."""
    event, *args = sys.argv[1:] if argv is None else argv
    try:
        return _handler(event)(args)
    except KeyboardInterrupt:
        return 130
    except MlflowDvcError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint: {error.hint}", file=sys.stderr)
        return 0 if event.startswith("post-") else 1


def _handler(event: str) -> Callable[[Sequence[str]], int]:
    """Return the event's function, from the one module that it needs."""
    if event == "pre-commit":
        from mlflow_dvc_plugin.sync.quick import still_clean

        if still_clean():
            return lambda args: 0
        from mlflow_dvc_plugin.sync.precommit import pre_commit

        return pre_commit
    if event == "pre-push":
        from mlflow_dvc_plugin.sync.prepush import pre_push

        return pre_push
    gc.disable()  # a short life: looking for cycles in 20,000 names takes longer than it frees
    from mlflow_dvc_plugin.sync import early

    begun = early.begin()

    def handle(args: Sequence[str]) -> int:
        try:
            from mlflow_dvc_plugin.sync.after import after

            return after(event, args, begun)
        finally:
            if begun is not None:
                begun.end()

    return handle


if __name__ == "__main__":
    if not getattr(sys.flags, "safe_path", False):
        del sys.path[0]  # the worktree: a yaml.py of the project is not the library
    run()
