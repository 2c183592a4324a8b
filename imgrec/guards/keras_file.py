"""A `.keras` file, checked before Keras opens it: its members, its numbers, their shapes.

Its `config.json` is never read: a run rebuilds the model from its own settings, by names of the zoo alone.
"""

import mmap
import struct
import zipfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from imgrec.errors import InputError
from imgrec.guards import hdf5

WEIGHTS = "model.weights.h5"
MEMBERS = (WEIGHTS, "config.json", "metadata.json")
"""What Keras writes into the archive, as it is, uncompressed."""
Weight = tuple[tuple[int, ...], str]
"""Shape and type of a weight."""
_LOCAL = struct.Struct("<4s22xHH")
"""Of a member's header within the archive: signature, length of its name, of its extra field."""


def check(path: Path, wanted: Iterable[Weight]) -> None:
    """Make sure that a `.keras` file holds the wanted weights, and nothing that could do anything else.

    Memory is taken for none of them yet.

    Raises:
        InputError: another or a damaged archive, numbers of other shapes or types, or a part that Keras does
            not write.
    """
    try:
        with (
            open(path, "rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole,
            zipfile.ZipFile(file) as archive,
            memoryview(whole) as view,
        ):
            offset, size = _weights(archive, view)
            with view[offset : offset + size] as member:
                found = hdf5.datasets(member)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except hdf5.Refused as error:
        raise InputError(f"{path}: its {WEIGHTS} is refused: {error}; restore the folder") from None
    except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error) as error:
        raise InputError(f"{path}: no whole .keras file ({error}); restore the folder") from None
    # A model that was saved as it was trained has its optimiser's numbers too, which nothing reads.
    own = (part for name, part in found.items() if not name.startswith("optimizer/"))
    held = Counter((part.shape, part.dtype) for part in own)
    asked = Counter(wanted)
    if held != asked:
        raise InputError(
            f"{path}: its weights are not those of the model in run.json: "
            f"missing {_listed(asked - held)}, left over {_listed(held - asked)}"
        )


def _weights(archive: zipfile.ZipFile, view: memoryview) -> tuple[int, int]:
    """Return where in the archive the weights lie, and their bytes, after a look at all its members."""
    members = archive.infolist()
    names = sorted(member.filename for member in members)
    if names != sorted(MEMBERS):
        raise ValueError(f"holds {', '.join(names[:4])}{' …' * (len(names) > 4)}, not Keras's three members")
    for member in members:
        if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
            raise ValueError(f"{member.filename} is compressed or encrypted; Keras stores it as it is")
        if member.file_size != member.compress_size or member.file_size > len(view):
            raise ValueError(f"{member.filename} claims {member.file_size} bytes that are not there")
    if broken := archive.testzip():
        raise ValueError(f"{broken} is not as it was written")
    chosen = next(member for member in members if member.filename == WEIGHTS)
    signature, name, extra = _LOCAL.unpack_from(view, chosen.header_offset)
    start = chosen.header_offset + _LOCAL.size + name + extra
    if signature != b"PK\3\4" or start + chosen.file_size > len(view):
        raise ValueError(f"{WEIGHTS} is not where the archive says")
    return start, chosen.file_size


def _listed(weights: "Counter[Weight]") -> str:
    texts = [f"{dtype} {list(shape)}" for shape, dtype in sorted(weights.elements())]
    return ", ".join(texts[:3]) + (f" and {len(texts) - 3} more" if len(texts) > 3 else "") or "none"
