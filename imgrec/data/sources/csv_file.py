"""`csv:FILE`: images and their labels named in a table.

The first line names the columns. `path` is relative to the CSV file, and may be written with backslashes;
`split`, if there, is train, val or test, in any spelling that folders may have. What else there is says
the labels: a column `label` with one of them; a column `labels` with any number, joined by `|` (a `label`
column with a `|` in it counts as such); or one column a class, of 0 and 1. Beside `label` or `labels`
further columns are attributes of the images, such as the camera: nobody learns from them, the report has the
accuracy of each of their values.
"""

import csv
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PureWindowsPath

from imgrec.data.header import SUPPORTED
from imgrec.data.sources.folder import Entry, Listing, occurring
from imgrec.data.sources.labels import SEPARATOR
from imgrec.data.sources.layout import split_of
from imgrec.errors import InputError

Row = tuple[int, dict[str, str]]
"""The number of a line in the file, from 1, and its cells by column."""

_OURS = ("path", "split", "label", "labels")
_EXPECTED = "expected path and label, or path, labels (joined by |), or path and a column of 0 and 1 a class"


def list_csv(file: str) -> Listing:
    """List the images that a CSV file names; none of them is opened.

    Several labels an image are what `labels` and columns of 0 and 1 give, also where no image has two.

    Raises:
        InputError: no such file, no such columns, or a wrong row (with its line number).
    """
    path = Path(file)
    if not path.is_file():
        raise InputError(f"csv:{file}: no such file")
    columns, rows = _read(path, f"csv:{file}")
    if not rows:
        raise InputError(f"csv:{file}: no rows below the header; expected one for each image")
    multi_label, classes, labels = _labels(columns, rows, f"csv:{file}")
    further = _further(columns)
    entries, lines, turned = list[Entry](), dict[str, int](), 0
    for (line, row), held in zip(rows, labels, strict=True):
        name = _name(row["path"], path.parent, f"csv:{file}, line {line}")
        turned += "\\" in row["path"] and "\\" not in name
        if name in lines:
            raise InputError(
                f"csv:{file}, line {line}: {name} stands in line {lines[name]} already; "
                "name it once, its labels joined by | in a column labels"
            )
        lines[name] = line
        part = _part(row.get("split", "train"), f"csv:{file}, line {line}")
        attributes = tuple(row[column] for column in further)
        entries.append(Entry(name, str(path.parent / name), part, held, line, attributes))
    parts = sorted({entry.part for entry in entries})
    if "train" not in parts:
        raise InputError(f"csv:{path}: no row is of the split train, only of {', '.join(parts)}")
    folders, found = dict.fromkeys(parts, ""), occurring(entries, parts, classes, multi_label)
    ordered = tuple(sorted(entries, key=lambda entry: entry.part))
    notes: tuple[str, ...] = ()
    if turned:
        notes += (f"{turned:,} paths with backslashes were read with / in their place",)
    if further:
        notes += (f"columns that are not learned from, and told apart in the report: {', '.join(further)}",)
    return Listing(
        path.parent, folders, found, ordered,
        multi_label=multi_label, origin=path, notes=notes, columns=further,
    )  # fmt: skip


def _read(path: Path, what: str) -> tuple[list[str], list[Row]]:
    """Return the names of the columns and the rows below."""
    try:
        # Spreadsheets begin UTF-8 with a mark.
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            columns = [name.strip() for name in next(reader, [])]
            _check_columns(columns, what)
            rows = []
            for cells in filter(any, reader):
                if len(cells) != len(columns):
                    where = f"{what}, line {reader.line_num}"
                    raise InputError(f"{where}: {len(cells)} cells, the header has {len(columns)} columns")
                rows.append((reader.line_num, dict(zip(columns, map(str.strip, cells), strict=True))))
            return columns, rows
    except UnicodeDecodeError as error:
        raise InputError(f"{what}: not UTF-8 text ({error.reason}); save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise InputError(f"{what}, line {reader.line_num}: {error}; expected comma-separated cells") from None
    except OSError as error:
        raise InputError(f"{what}: {error.strerror}") from None


def _check_columns(columns: Sequence[str], what: str) -> None:
    twice = [name for name in columns if columns.count(name) > 1]
    if twice:
        raise InputError(f"{what}: the column {twice[0]!r} stands in the header twice")
    if "path" not in columns or set(columns) <= {"path", "split"}:
        found = ", ".join(columns) or "nothing"
        semicolons = "; its cells are separated by semicolons" if ";" in found and len(columns) == 1 else ""
        raise InputError(f"{what}: the header has {found}{semicolons}; {_EXPECTED}")


def _labels(
    columns: Sequence[str], rows: Sequence[Row], what: str
) -> tuple[bool, tuple[str, ...], list[tuple[str, ...]]]:
    """Return whether there may be several an image, the classes, and the labels of each row."""
    named = [name for name in ("label", "labels") if name in columns]
    if len(named) == 2:
        raise InputError(f"{what}: the columns 'label' and 'labels' both say labels; {_EXPECTED}")
    if not named:
        others = [name for name in columns if name not in _OURS]
        return True, tuple(others), [_marked(row, others, f"{what}, line {line}") for line, row in rows]
    cells = [row[named[0]] for _, row in rows]
    multi_label = named == ["labels"] or any(SEPARATOR in cell for cell in cells)
    if not multi_label and "" in cells:
        raise InputError(
            f"{what}, line {rows[cells.index('')][0]}: no label; fill it in or take the line out"
        )
    held = [tuple(dict.fromkeys(filter(None, map(str.strip, cell.split(SEPARATOR))))) for cell in cells]
    return multi_label, tuple(sorted({label for labels in held for label in labels})), held


def _further(columns: Sequence[str]) -> tuple[str, ...]:
    """The columns that say something of the images beside their labels, where a column says those."""
    if not {"label", "labels"} & set(columns):
        return ()
    return tuple(name for name in columns if name not in _OURS)


def _marked(row: Mapping[str, str], classes: Sequence[str], where: str) -> tuple[str, ...]:
    """The classes under which a row has a 1."""
    for name in classes:
        if row[name] not in ("0", "1"):
            raise InputError(f"{where}: {row[name]!r} in the column {name!r}; expected 0 or 1")
    return tuple(name for name in classes if row[name] == "1")


def _name(cell: str, folder: Path, where: str) -> str:
    """The path as an id; `\\` separates folders unless the system or a file's name says otherwise."""
    if not cell:
        raise InputError(f"{where}: no path; fill it in or take the line out")
    if os.path.splitext(cell)[1].lower() not in SUPPORTED:
        raise InputError(f"{where}: {cell} is no image by its name; expected {' '.join(sorted(SUPPORTED))}")
    if "\\" in cell and os.sep == "/" and not os.path.lexists(folder / cell):
        if PureWindowsPath(cell).drive:
            raise InputError(
                f"{where}: {cell} is a path of a Windows machine; expected one relative to the CSV file, "
                f"such as photos/{PureWindowsPath(cell).name}"
            )
        cell = cell.replace("\\", "/")
    return Path(cell).as_posix()


def _part(cell: str, where: str) -> str:
    part = split_of(cell)
    if part is None:
        raise InputError(f"{where}: split {cell!r}; expected train, val or test")
    return part
