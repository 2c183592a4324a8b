"""A model without its weights: what it is made of, known before memory is taken for it."""

import threading
from collections.abc import Mapping
from typing import Any

import keras

from imgrec.errors import InputError
from imgrec.models.ensemble import MOST
from imgrec.models.widths import rebuilt

LARGEST = 1 << 24
"""No side of an image, width or number of classes is as large."""


def outline(recorded: Mapping[str, Any]) -> keras.Model:
    """Build a model from what run.json records of it, its weights having shapes but no values yet.

    It is built in a thread of its own, as Keras keeps its scopes, and the list of weights that wait for their
    values, for each thread: no later call fills these in.

    Args:
        recorded: `name`, `input_shape`, `num_classes`, `options` and perhaps `ranks`, `widths` and
            `members`, for `rebuilt`.

    Raises:
        InputError: one is missing, of another kind or far too large, or the zoo refuses it.
    """
    _check(recorded)
    built: list[keras.Model] = []
    failed: list[Exception] = []

    def build() -> None:
        try:
            with keras.StatelessScope(initialize_variables=False):
                built.append(rebuilt(recorded))
        except Exception as error:  # of any library under the sun: the settings are somebody else's
            failed.append(error)

    thread = threading.Thread(target=build, name="outline")
    thread.start()
    thread.join()
    if failed:
        if isinstance(failed[0], InputError):
            raise failed[0]
        said = next(iter(str(failed[0]).splitlines()), "")[:200]
        raise InputError(
            f"run.json: its model cannot be built ({type(failed[0]).__name__}: {said}); restore the folder"
        )
    return built[0]


def _check(recorded: Mapping[str, Any]) -> None:
    """Raise InputError unless it is a name, a shape, a number of classes and options of plain values."""
    expected = {"name": str, "input_shape": list, "num_classes": int, "options": dict}
    for key, kind in expected.items():
        if not isinstance(recorded, Mapping) or not isinstance(recorded.get(key), kind):
            raise InputError(f"run.json: its model has no {key}, or one that is no {kind.__name__}")
    _check_members(recorded)
    plain = [*recorded["input_shape"], recorded["num_classes"]]
    for value in recorded["options"].values():
        plain += value if isinstance(value, list) else [value]
    for value in plain:
        numeric = isinstance(value, (int, float))
        if not numeric and not isinstance(value, (str, type(None))):
            raise InputError(f"run.json: its model has a setting that is a {type(value).__name__}")
        if numeric and not -LARGEST < value < LARGEST:
            raise InputError(f"run.json: its model has the number {value:g}, expected less than {LARGEST:,}")


def _check_members(recorded: Mapping[str, Any]) -> None:
    """Raise InputError unless the members of an ensemble are such models, and no ensembles."""
    members = recorded.get("members", [])
    if not isinstance(members, list) or len(members) > MOST:
        raise InputError(f"run.json: its model has no list of members, or more than {MOST}")
    for member in members:
        _check(member)
        if "members" in member:
            raise InputError("run.json: a member of its model is an ensemble itself; restore the folder")
