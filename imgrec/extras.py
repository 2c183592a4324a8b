"""Packages that only some features need, declared as extras in setup.cfg."""

import importlib
from types import ModuleType

from imgrec.errors import InputError


def require(package: str, extra: str, what: str) -> ModuleType:
    """Import `package` and return it; `what` needs it, and `extra` brings it.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package.partition(".")[0]:
            raise
        raise InputError(f"{what} needs {package}: pip install 'imgrec[{extra}]'") from None
