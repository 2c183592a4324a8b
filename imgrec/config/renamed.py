"""Settings of earlier versions, refused with what is written now: a name has its options in brackets."""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from imgrec.errors import InputError
from imgrec.spec import Spec

OPTIONS = {
    "model_options": "model",
    "schedule_options": "schedule",
    "loss_options": "loss",
    "embedding_options": "embedding_loss",
    "imbalance_options": "imbalance",
}
"""Earlier setting → the one whose value has its options in brackets now."""


def refuse_key(name: str, given: Any, now: Mapping[str, Any]) -> None:
    """Refuse a key of a recipe that is an earlier one; `given` is its value, `now` those of all settings.

    Raises:
        InputError: it is one of `OPTIONS`.
    """
    if name in OPTIONS:
        pairs = [str(pair) for pair in given] if isinstance(given, (list, tuple)) else [str(given)]
        text = _joined(name, pairs, now)
        raise InputError(f'{name}: [{", ".join(pairs)}]: write {OPTIONS[name]}: "{text}"')


def refuse_flags(words: Sequence[str], now: Mapping[str, Any], instead: str = "") -> None:
    """Refuse earlier flags, `--model-options width=48 …`; `instead` shows what stands for `--model` here.

    Raises:
        InputError: there is one among the words of a command.
    """
    given: dict[str, list[str]] = {}
    for index, word in enumerate(words):
        flag, separator, value = word.partition("=")
        if flag.startswith("--"):
            rest = list(takewhile(lambda word: not word.startswith("--"), words[index + 1 :]))
            given[flag[2:].replace("-", "_")] = [value] if separator else rest
    for name in (name for name in given if name in OPTIONS):
        setting = OPTIONS[name]
        text = _joined(name, given[name], {**now, **{key: " ".join(pair) for key, pair in given.items()}})
        flag, instead = name.replace("_", "-"), instead or f"--{setting.replace('_', '-')}"
        raise InputError(f'--{flag} {" ".join(given[name])}: write {instead} "{text}"')


def _joined(name: str, pairs: Sequence[str], now: Mapping[str, Any]) -> str:
    """The text of the setting with the pairs put into its brackets."""
    spec = Spec.parse(str(now[OPTIONS[name]]), OPTIONS[name])
    more = Spec.parse(f"{spec.name}({', '.join(pairs)})", name)
    return str(Spec(spec.name, spec.args + more.args, {**spec.options, **more.options}))
