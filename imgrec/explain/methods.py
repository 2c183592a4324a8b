"""Every explanation by its name, and the one that fits what answers."""

from collections.abc import Callable

from imgrec.explain import endpoints
from imgrec.explain.asked import Asked, Maps
from imgrec.explain.cam import gradcam, gradcam_plus_plus, hirescam
from imgrec.explain.integrated import integrated_gradients
from imgrec.explain.occlusion import occlusion
from imgrec.explain.rollout import fits, rollout
from imgrec.registry import build, lookup
from imgrec.runtimes import Runtime
from imgrec.spec import Spec, parse_line

AUTO = "auto"
EXPLANATIONS: dict[str, Callable[..., Maps]] = {
    "gradcam": gradcam,
    "gradcam_plus_plus": gradcam_plus_plus,
    "hirescam": hirescam,
    "rollout": rollout,
    "integrated_gradients": integrated_gradients,
    "occlusion": occlusion,
}
"""Every explanation by its name; one of one's own is a function (asked, options) → maps and an entry here."""
_FILES_CAN = frozenset({"occlusion"})


def parse(line: str) -> tuple[Spec, ...]:
    """Read names with options such as `gradcam|occlusion(window=8)`; `auto` is one of them.

    Raises:
        InputError: no such notation, an unknown name, or a value without a name.
    """
    specs = parse_line(line, "--explain")
    for spec in specs:
        if spec.name != AUTO:
            lookup(EXPLANATIONS, spec.name, "explanation")
        Spec.named(str(spec), "--explain")
    return specs


def looks_inside(specs: tuple[Spec, ...]) -> bool:
    """Whether one of them looks into a network, which only a Keras model lets it do; `auto` would."""
    return any(spec.name not in _FILES_CAN for spec in specs)


def fitting(runtime: Runtime) -> str:
    """Return the explanation that `auto` stands for.

    Grad-CAM where the network has a map of places, rollout where it is a plain transformer, else occlusion,
    and occlusion for every file.
    """
    if runtime.model is None:
        return "occlusion"
    if endpoints.spatial(runtime.model):
        return "gradcam"
    return "rollout" if fits(runtime.model) else "occlusion"


def explain(asked: Asked, spec: Spec) -> Maps:
    """Return a map for each picture.

    Raises:
        InputError: an unknown name or option, or an explanation that cannot be given of what answers.
    """
    name = fitting(asked.runtime) if spec.name == AUTO else spec.name
    return build(EXPLANATIONS, name, "explanation", spec.options, asked=asked)
