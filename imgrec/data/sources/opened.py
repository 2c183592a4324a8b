"""What a specification of data holds, before anything is decided about what is broken."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from imgrec.data.audit.examine import Examined
from imgrec.data.audit.findings import Finding
from imgrec.data.audit.scan import Scan
from imgrec.data.decode import Bits, depth_of
from imgrec.data.sources.dataset import Source, Split


@dataclass(frozen=True)
class Opened:
    """What `imgrec.data.sources.load.open_data` returns.

    given: the splits there are, of usable images only; those of the quarantine list are left out.
    examined: what came of each usable file, by path; empty for arrays.
    scan: the folder or table looked through; None for arrays.
    findings: what is wrong with files and folders, and what was left out.
    """

    given: dict[str, Split]
    classes: tuple[str, ...]
    examined: Mapping[str, Examined]
    scan: Scan | None
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    @property
    def digests(self) -> dict[str, str]:
        """The sha256 of every usable file by its path; empty for arrays."""
        return {path: one.facts.sha256 for path, one in self.examined.items() if one.facts is not None}


def bits_in_use(split: Split, examined: Mapping[str, Examined]) -> Bits:
    """Return how many of their 16 bits the 16-bit files of a split use; 16 where there are none of them."""
    facts = (examined[path].facts for path in split.paths or ())
    return depth_of(max((fact.highest for fact in facts if fact is not None), default=0))


def with_bits(source: Source, examined: Mapping[str, Examined]) -> Source:
    """Return `source` with as many bits as its training images use, and a note where these are not all 16."""
    bits = bits_in_use(source.train, examined)
    if bits == source.bits:
        return source
    note = f"16-bit images hold {bits} bits: scaled by 2^{16 - bits}"
    return replace(source, bits=bits, notes=(*source.notes, note))
