"""Tables as people keep them: CSV (comma, semicolon or tab), JSON lines, or the one sheet of an .xlsx file.

Column names are read in any case, spaces around them aside; rows without content are skipped. A row that has more
fields than the header is refused: a comma that nobody quoted would shift what stands behind it.
"""

import csv
import difflib
import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lipkd.errors import LipkdError
from preprocessing.corpus.text_file import read_text, split_lines

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".xlsx")
DELIMITERS = ",;\t"
Row = dict[str, Any]  # column name in lower case → text, or what JSON holds; no entry where a field is empty
ZIP = b"PK\x03\x04"  # what an .xlsx file begins with
QUOTES = {"“": "”", "„": "“”", "«": "»", "”": "”"}  # typographic; the right ones end them


class LineError(ValueError):
    """A fault in a line that is not the one read last."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


class Rows:
    """The rows of a table with the numbers of their lines, `columns` names what it has; raises LipkdError naming file,
    line and fault. `known` are the columns that the caller understands, for the choice of the delimiter."""

    def __init__(self, path: Path, known: Sequence[str]) -> None:
        self.path = path
        self.known = known
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise LipkdError(f"table {path}: must be one of {', '.join(SUFFIXES)}; save it as CSV (UTF-8)")
        self.columns: list[str] = []
        self.number = 1
        try:
            if suffix == ".xlsx" or _begins_with_zip(path):
                self.rows = list(self._records(_sheet(path)))
            elif suffix in (".jsonl", ".ndjson"):
                self.rows = list(self._objects(read_text(path)))
            else:
                self.rows = list(self._records(_csv(read_text(path), known)))
        except LipkdError as error:
            raise LipkdError(f"table {error}") from error
        except ValueError as error:
            raise self.fault(error.number if isinstance(error, LineError) else self.number, str(error)) from error

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        return iter(self.rows)

    def fault(self, number: int, message: str) -> LipkdError:
        """The error of a line of this table."""
        return LipkdError(f"table {self.path}, line {number}: {message}")

    def require(self, *names: str) -> None:
        """Raise LipkdError where a column is missing, naming one that is spelled nearly so."""
        if missing := [name for name in names if name not in self.columns]:
            close = {name: difflib.get_close_matches(name, self.columns, 1, 0.6) for name in missing}
            hints = "".join(f"; is {match[0]!r} meant for {name}?" for name, match in close.items() if match)
            raise self.fault(
                1, f"no column {', '.join(missing)}; it has {', '.join(filter(None, self.columns)) or 'none'}{hints}"
            )

    def _records(self, records: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, Row]]:
        for self.number, fields in records:
            if not any(field.strip() for field in fields):
                continue
            if not self.columns:
                self.columns = [_column(name) for name in fields]
                _distinct([name for name in self.columns if name])
                continue
            beyond = fields[len(self.columns) :]
            unnamed = [field for name, field in zip(self.columns, fields, strict=False) if not name]
            if any(field.strip() for field in (*beyond, *unnamed)):
                raise ValueError(
                    f"{len(fields)} fields, but the header names {len([c for c in self.columns if c])}; "
                    'put a text with a comma into straight quotes: "no, thank you"'
                )
            for field in fields:
                opening = field.strip()[:1]
                if opening in QUOTES and not any(closing in field.strip()[1:] for closing in QUOTES[opening]):
                    raise ValueError(
                        f"{field.strip()!r} opens a typographic quote that does not end in its field; "
                        'use straight quotes: "no, thank you"'
                    )
            named = zip(self.columns, fields, strict=False)
            yield self.number, {name: field.strip() for name, field in named if name and field.strip()}

    def _objects(self, content: str) -> Iterator[tuple[int, Row]]:
        for self.number, line in enumerate(split_lines(content), 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line, object_pairs_hook=_pairs)
            except json.JSONDecodeError:
                row = None
            except RecursionError:
                row = None
            if not isinstance(row, dict):
                raise ValueError("not a JSON object")
            self.columns += [name for name in row if name not in self.columns]
            yield self.number, {name: value for name, value in row.items() if value not in (None, "")}


def text_of(value: object) -> str:
    """A field as a text in one line."""
    return re.sub(r"[\r\n]+", " ", str(value)).strip()


def _column(name: str) -> str:
    return " ".join(name.strip().strip("\ufeff").split()).casefold()


def _distinct(names: Sequence[str]) -> None:
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"column {', '.join(sorted(twice))} appears twice")


def _pairs(pairs: list[tuple[str, Any]]) -> Row:
    names = [_column(name) for name, _ in pairs]
    _distinct(names)
    return dict(zip(names, (value for _, value in pairs), strict=True))


def _csv(content: str, known: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of a CSV file; Excel's first line `sep=;` is obeyed."""
    lines = split_lines(content)
    skipped = 0
    header = next((line for line in lines if line.strip()), "")
    delimiter = max(DELIMITERS, key=lambda mark: (_known_in(header, mark, known), header.count(mark)))
    if excel := re.fullmatch(r"\s*sep=(.)\s*", header):
        delimiter = excel[1]
        skipped = lines.index(header) + 1
    reader = csv.reader(
        io.StringIO("\n".join(lines[skipped:]), newline=""), delimiter=delimiter, strict=True, skipinitialspace=True
    )
    try:
        for fields in reader:
            yield skipped + reader.line_num, fields
    except csv.Error as error:
        raise LineError(skipped + reader.line_num, str(error)) from error


def _known_in(header: str, delimiter: str, known: Sequence[str]) -> int:
    return len({_column(name.strip(' "')) for name in header.split(delimiter)} & set(known))


def _begins_with_zip(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(4) == ZIP
    except OSError:
        return False


def _sheet(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of the only sheet with content of a workbook."""
    try:
        import openpyxl
    except ImportError as error:
        raise LipkdError(
            f"{path}: reading .xlsx needs openpyxl (pip install openpyxl); or save the sheet as CSV (UTF-8)"
        ) from error
    try:
        book = openpyxl.load_workbook(io.BytesIO(path.read_bytes()), read_only=True, data_only=True)
        sheets = [[[_cell(cell) for cell in row] for row in sheet.values] for sheet in book.worksheets]
        book.close()
    except OSError as error:
        raise LipkdError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError, AttributeError, SyntaxError, zipfile.BadZipFile) as error:
        raise LipkdError(f"{path}: not a sound .xlsx file; save the sheet as CSV (UTF-8)") from error
    filled = [rows for rows in sheets if any(any(row) for row in rows)]
    if len(filled) > 1:
        raise LipkdError(f"{path}: {len(filled)} sheets hold something; keep one, or save it as CSV (UTF-8)")
    yield from enumerate(filled[0] if filled else [], 1)


def _cell(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value)
