"""What a specification of data holds, before anything is decided about what is broken."""

from collections.abc import Mapping
from dataclasses import dataclass

from imgrec.data.audit.examine import Examined
from imgrec.data.audit.findings import Finding
from imgrec.data.audit.scan import Scan
from imgrec.data.sources.dataset import Split


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
