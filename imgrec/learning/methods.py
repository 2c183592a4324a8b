"""Methods by name, and the one that the settings ask for."""

from imgrec.config import Config
from imgrec.errors import InputError
from imgrec.learning.auxiliary_loss import Embedding
from imgrec.learning.consistency import Consistency
from imgrec.learning.decoupled import Decoupled
from imgrec.learning.distillation import Distill
from imgrec.learning.maml import Maml
from imgrec.learning.mask_loss import MaskLoss
from imgrec.learning.method import Method, Supervised
from imgrec.learning.protonet import ProtoNet
from imgrec.learning.transfer import Transfer
from imgrec.registry import build
from imgrec.spec import Spec

METHODS: dict[str, type[Method]] = {
    "supervised": Supervised,
    "transfer": Transfer,
    "mask_loss": MaskLoss,
    "embedding": Embedding,
    "consistency": Consistency,
    "distill": Distill,
    "protonet": ProtoNet,
    "maml": Maml,
}
"""Every method by its name; one of one's own is one file and one entry more.

`--method auto` takes the last whose own setting is given (`Method.asked`), and `supervised` where none is.
`decoupled`, which goes around another, is asked for by --imbalance.
"""


def choose(config: Config) -> Method:
    """Return the method that the settings ask for.

    Raises:
        InputError: an unknown method or option, or one that the other settings do not ask for.
    """
    spec = Spec.parse(config.loss.method)
    asked = [kind for kind in METHODS.values() if kind.asked(config)]
    if spec.name == "auto":
        method = asked[-1]() if asked else Supervised()
    else:
        method = build(METHODS, spec.name, "method", spec.options)
        if method.trait and type(method) not in asked:
            raise InputError(
                f"--method {spec}: the setting that it follows, {method.trait}, is not given; "
                "give it, or leave --method out"
            )
        if asked != ([type(method)] if method.trait else []):
            raise InputError(f"--method {spec}: other settings ask for another, or none for this: try auto")
    return Decoupled(method) if Decoupled.asked(config) else method
