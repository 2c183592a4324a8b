"""The versions of a store: what each of them is, read and held against what was written of it."""

from dataclasses import dataclass
from pathlib import Path

from imgrec import bundle
from imgrec.errors import InputError
from imgrec.guards.documents import read_json
from imgrec.serving.identity import identity
from imgrec.store import golden
from imgrec.store.golden import Golden
from imgrec.store.state import checked_name

FOLDER, RUN, FILE = "versions", "run", "version.json"
_KINDS = dict.fromkeys(("name", "digest", "serves", "added", "pictures", "golden"), str)
_AGAIN = "remove the version and add it again"


@dataclass(frozen=True)
class Entry:
    """A version of a store.

    name: in the store.
    digest: sha256 of what is served, as a server's answers bear it: of a file, or of a run's manifest.
    serves: the file that answers, below the run folder; empty for the run folder itself.
    added: when, in UTC.
    pictures: where the golden ones are from.
    golden: sha256 of them and their answers.
    rounding: how far scores may be from those answers.
    """

    name: str
    digest: str
    serves: str
    added: str
    pictures: str
    golden: str = ""
    rounding: float = 0.0


class Versions:
    """The versions in the folder of a store."""

    def __init__(self, path: Path) -> None:
        """Take the store's folder."""
        self.path = path

    def folder(self, name: str) -> Path:
        """Return where a version lies, whether there is one or not. Raises InputError of no such name."""
        return self.path / FOLDER / checked_name(name)

    def names(self) -> list[str]:
        """Return the names of all versions."""
        whole = self.path / FOLDER
        found = whole.iterdir() if whole.is_dir() else ()
        return sorted(each.name for each in found if each.is_dir() and not each.name.startswith("."))

    def entries(self) -> list[Entry]:
        """Return every version whose description can be read, the oldest first."""
        found = []
        for name in self.names():
            try:
                found.append(self.entry(name))
            except InputError:
                continue  # whoever asks for it by name is told why
        return sorted(found, key=lambda entry: (entry.added, entry.name))

    def entry(self, name: str) -> Entry:
        """Return a version. Raises InputError where there is none, or it is not as it was written."""
        folder = self.folder(name)
        if not folder.is_dir():
            raise InputError(f"{self.path}: no version {name}; it has {', '.join(self.names()) or 'none'}")
        held = read_json(folder / FILE, _AGAIN)
        kinds = {key: type(value) for key, value in held.items()}
        if kinds != {**_KINDS, "rounding": float} or held["name"] != name:
            raise InputError(f"{folder / FILE}: is not as it was written; {_AGAIN}")
        return Entry(**held)

    def served(self, name: str) -> Path:
        """Return what a server opens: the version's run folder, or the file in it that answers.

        Raises:
            InputError: as `entry`; or there is a link in it, which may lead anywhere.
        """
        entry, folder = self.entry(name), self.folder(name)
        for each in (folder, *folder.rglob("*")):
            if each.is_symlink():
                raise InputError(f"{each}: a link; a store holds files of its own only; {_AGAIN}")
        if Path(entry.serves).is_absolute() or ".." in Path(entry.serves).parts:
            raise InputError(f"{folder / FILE}: serves {entry.serves!r}, outside the version; {_AGAIN}")
        return folder / RUN / entry.serves

    def verify(self, name: str) -> Golden:
        """Check a version against its manifest and digests; return its golden pictures.

        Raises:
            InputError: as `served`; a file is missing or differs, or something was added.
        """
        served, entry = self.served(name), self.entry(name)
        bundle.verify(self.folder(name) / RUN)
        if identity(served)[1] != entry.digest:
            raise InputError(f"{served}: not what was added as {name} (sha256 differs); {_AGAIN}")
        return golden.read(self.folder(name), entry.golden)

    def mark(self, name: str) -> str:
        """Return a text that changes with any file of a version; of one that is not there as well."""
        try:
            stats = [(str(each), each.lstat()) for each in sorted(self.folder(name).rglob("*"))]
        except OSError:
            return "gone"
        return repr([(path, stat.st_size, stat.st_mtime_ns, stat.st_ino) for path, stat in stats])
