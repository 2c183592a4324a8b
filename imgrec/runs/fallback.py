"""What is tried where a post-training int8 file fails the gate: fewer layers in int8, then wider activations.

The layers that stay float32 are those whose own rounding harms most. Where nothing helps, the file stays as
it was, and what does help is said: quantisation-aware training.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from imgrec.compression.layer_errors import LayerError, worst
from imgrec.export import parity
from imgrec.export.litert import ExportError
from imgrec.export.parity import ParityRow
from imgrec.phrases import Phrase, listed
from imgrec.spec import Spec

VARIANT = "ptq"
"""What is made in milder ways; training is what the others would need, or what they are."""
SHARES = (0.1, 0.3)
"""Of the layers that compute, the worst so many are left in float32, one attempt after another."""
NAMED = 6
"""So many of them are named in a line."""
HOPELESS = Phrase(
    "no form of it after training holds the gate, so it needs quantisation-aware training: --quantize qat"
)


@dataclasses.dataclass(frozen=True)
class Attempt:
    """One thing to try: the variant with its options, and what it changes in words."""

    text: str
    change: str


def applies(text: str) -> bool:
    """Whether the variant `text`, with its options, is one that can be made in milder ways."""
    return Spec.named(text, "--quantize").name == VARIANT


def attempts(text: str, errors: Sequence[LayerError]) -> Iterator[Attempt]:
    """Give what to try, the smallest change first.

    Args:
        text: the variant whose file failed, with its options; those stay.
        errors: of its layers.
    """
    spec = Spec.named(text, "--quantize")
    computing = worst([error for error in errors if error.computes], len(errors))
    given = spec.options.get("float", ())
    before = (given,) if isinstance(given, str) else tuple(given)  # type: ignore[arg-type] # checked by then
    counts = dict.fromkeys(max(1, round(share * len(computing))) for share in SHARES)
    for count in counts if computing else ():
        worst_ones = computing[:count]
        # What a layer reads is int8 as long as the layer that made it is.
        found = (name for error in worst_ones for name in (error.name, *error.sources))
        names = tuple(dict.fromkeys(name for name in found if name not in before))
        options = {**spec.options, "float": (*before, *names)}
        shown, more = ", ".join(names[:NAMED]), len(names) - NAMED
        change = Phrase("left in float32: {names}", names=shown)
        if more > 0:
            change = Phrase("left in float32: {names} and {more} more", names=shown, more=more)
        yield Attempt(str(Spec(spec.name, (), options)), change)
    if spec.options.get("activations") != 16:
        wide = str(Spec(spec.name, (), {**spec.options, "activations": 16}))
        yield Attempt(wide, Phrase("activations of 16 bits, which few processors are quick at"))


def until_it_holds(
    text: str,
    failed: list[ParityRow],
    errors: Sequence[LayerError],
    write: Callable[[str], list[ParityRow]],
    drop: Callable[[str], None],
) -> tuple[list[ParityRow], str]:
    """Try one attempt after another until the files pass the gate.

    Returns:
        The rows of the files that stay, and the variant with its options that they are of.

    Args:
        text: the variant whose files failed.
        failed: their rows.
        errors: of its layers.
        write: writes a variant's files, in the place of earlier ones of their names, and measures them.
        drop: removes the files of a name that is not to stay.
    """
    tried = {row.name for row in failed}
    reason = Phrase("with all in int8 its accuracy was {share:.2%}", share=failed[0].accuracy)
    for attempt in attempts(text, errors):
        print(f"{failed[0].name} fails the gate; trying: {attempt.change}", flush=True)
        try:
            rows = write(attempt.text)
        except ExportError as error:  # such as 16 bits where the runtime has no kernel for them
            print(f"that cannot be written: {error}", flush=True)
            continue
        tried |= {row.name for row in rows}
        if not parity.gate(rows):
            kept, note = attempt.text, listed([attempt.change, reason])
            break
    else:
        rows, kept, note = write(text), text, HOPELESS
    for name in tried - {row.name for row in rows}:
        drop(name)
    return [dataclasses.replace(row, note=note) for row in rows], kept
