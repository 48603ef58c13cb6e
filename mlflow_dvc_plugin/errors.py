"""The one error class, so that one place can catch it and print it."""


class MlflowDvcError(Exception):
    """An error that a person can mend: what is wrong, and the command that mends it."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NotReproducible(BaseException):
    """``MLFLOW_DVC_STRICT``: the run that was about to start could not be brought back.

    Not an Exception, because MLflow turns those into a warning and starts the run.
    """

    def __init__(self, obstacles: list[str]) -> None:
        listed = "".join(f"\n  - {text}" for text in obstacles)
        super().__init__(
            f"MLFLOW_DVC_STRICT is set, and this run could not be reproduced:{listed}\n"
            "hint: git commit and dvc add (or dvc commit) first; see: mlflow-dvc status"
        )
