"""Which settings do not go together: one table of pairs, and what methods and tasks say of themselves."""

from collections.abc import Mapping

from imgrec.config import Config
from imgrec.errors import InputError
from imgrec.learning.decoupled import Decoupled
from imgrec.learning.method import Method
from imgrec.learning.traits import TRAITS
from imgrec.tasks.task import Task

_ONE_HOST = "one host is enough: --strategy none"
_WHOLE = "times a whole network on one host; name a number"
CONFLICTS: tuple[tuple[str, str, str], ...] = (
    ("preview", "several hosts", _ONE_HOST),
    ("lr find", "several hosts", _ONE_HOST),
    ("features cached", "several hosts", "features are made on one host, in seconds: --strategy none"),
    ("measured batch", "several hosts", _WHOLE),
    ("measured batch", "backbone frozen", _WHOLE),
    ("own crop", "augment line", "--augment says it all; put crop(pad=4) or resized_crop there"),
    ("frozen", "random weights", "would keep random weights as they are: name --weights imagenet or a file"),
    ("unfreezing", "nothing frozen", "nothing is frozen; name --freeze backbone or stageN"),
    ("unfreezing too late", "epochs", "expected 0 (never), or fewer than {other}"),
    ("head solved", "random weights", "wants features: name --weights imagenet or a file"),
    ("head solved", "nothing frozen", "is solved on a backbone that stays: name --freeze backbone"),
    ("head solved", "part frozen", "is solved on a backbone that stays: name --freeze backbone"),
    (
        "head solved",
        "random weights",
        "wants features: name --weights imagenet or a file",
    ),
    ("head solved", "several hosts", _ONE_HOST),
    ("head solved", "imbalance", "knows the images as they are: use --head trained"),
    (
        "cache asked for",
        "part frozen",
        "with {other}: features can be computed once only of a backbone that does not learn; name "
        "--freeze backbone",
    ),
)
"""(one, other, why): pairs that cannot be meant. Those of a method or a task stand with it."""


def check(config: Config, method: Method) -> None:
    """Refuse settings that do not go together, before any data is read.

    Raises:
        InputError: names both, and what to do.
    """
    while isinstance(method, Decoupled):
        _refuse(config, method.asked(config), method.conflicts)
        method = method.first
    _refuse(config, method.asked(config) or f"--method {config.loss.method}", method.conflicts)
    for one, other, why in CONFLICTS:
        _refuse(config, TRAITS[one](config), {other: why})


def check_task(config: Config, task: Task) -> None:
    """Refuse settings that the task of these labels cannot follow.

    Raises:
        InputError: names the setting, and what to do.
    """
    for trait, why in task.refuses.items():
        if given := TRAITS[trait](config):
            raise InputError(f"{given}: {why}")


def _refuse(config: Config, asked: str, conflicts: Mapping[str, str]) -> None:
    for trait, why in conflicts.items():
        other = TRAITS[trait](config)
        if asked and other:
            raise InputError(f"{asked}: {why.format(other=other)}")
