"""The one kind of error that is the user's to mend."""


class InputError(ValueError):
    """Bad input or usage: one line that says what came in, what was expected and how to mend it.

    Every `pipelines.*` command prints it as `error: …` and exits with code 2. Anything else that
    escapes is our own bug and keeps its traceback.
    """


class WorkerLost(RuntimeError):
    """Another host of a training does not answer any more; one line, printed with exit code 1."""
