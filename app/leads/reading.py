"""Reads the files people bring: CSV in any encoding and with any separator, or a spreadsheet, told apart by content."""

from __future__ import annotations

import codecs
import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from charset_normalizer import from_bytes
from python_calamine import CalamineError, CalamineWorkbook

from app.leads.addresses import BadAddress, canonical

LARGEST = 60 * 1024 * 1024
LARGEST_UNPACKED = 500 * 1024 * 1024
MOST_COLUMNS = 200
SAMPLE = 256 * 1024
DELIMITERS = (",", ";", "\t", "|")
# Where Western files are undecided, cp1252 is what spreadsheets write; the rest only when it fits better.
ENCODINGS = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "shift_jis", "gb18030", "big5", "euc_kr", "mac_roman", "cp437"]  # fmt: skip
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


class BadFile(ValueError):
    """A file that cannot be read, in one sentence that says what to bring instead."""


@dataclass(frozen=True, slots=True)
class Table:
    """A file understood: its columns, and how to read its rows again and again without keeping them."""

    path: Path
    kind: str  # csv | sheet
    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    has_header: bool

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """(number as a spreadsheet counts, cells) of every row that is not empty, the header left out."""
        for number, cells in enumerate(_raw(self), 1):
            if (number == 1 and self.has_header) or not any(cell.strip() for cell in cells):
                continue
            yield number, cells

    def count(self) -> int:
        return sum(1 for _ in self.rows())


def understand(path: Path, *, encoding: str = "", has_header: bool | None = None) -> Table:
    """Find out what the file is. Raises BadFile."""
    size = path.stat().st_size
    if size == 0:
        raise BadFile("The file is empty; export it again with its rows.")
    if size > LARGEST:
        raise BadFile("The file is larger than 60 MB; split it and import the parts one after the other.")
    with path.open("rb") as file:
        head = file.read(8)
    kind = "sheet" if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")) else "csv"
    if kind == "sheet":
        _check_sheet(path, head)
        table = Table(path, kind, "", "", (), False)
    else:
        found = encoding or _encoding(path)
        table = Table(path, kind, found, _delimiter(path, found), (), False)
    first = [cells for cells, _ in zip(_raw(table), range(20), strict=False)]
    filled = [cells for cells in first if any(c.strip() for c in cells)]
    if not filled:
        raise BadFile("The file has no rows; export it again with its rows.")
    is_headed = _looks_like_header(filled) if has_header is None else has_header
    width = len(filled[0]) if is_headed else max(map(len, filled))
    if width > MOST_COLUMNS:
        raise BadFile(f"The file has more than {MOST_COLUMNS} columns; keep those you need.")
    names = first[0] if is_headed else []
    return Table(path, kind, table.encoding, table.delimiter, _distinct(names, width), is_headed)


def _raw(table: Table) -> Iterator[list[str]]:
    return _sheet_rows(table.path) if table.kind == "sheet" else _csv_rows(table.path, table.encoding, table.delimiter)


def _csv_rows(path: Path, encoding: str, delimiter: str) -> Iterator[list[str]]:
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        start = file.read(6)
        if start.lower().startswith("sep=") and len(start) > 4:
            file.seek(0)
            file.readline()
        else:
            file.seek(0)
        reader = csv.reader(file, delimiter=delimiter)
        try:
            yield from reader
        except csv.Error as problem:
            text = "a quote is opened and never closed" if "field larger" in str(problem) else str(problem)
            raise BadFile(
                f"Line {reader.line_num:,} cannot be read: {text}. Correct it and bring the file again."
            ) from None


def _sheet_rows(path: Path) -> Iterator[list[str]]:
    try:
        book = CalamineWorkbook.from_path(str(path))
        sheet = next((book.get_sheet_by_name(n) for n in book.sheet_names if book.get_sheet_by_name(n).height), None)
        if sheet is None:
            raise BadFile("The spreadsheet has no rows; put the leads on its first sheet.")
        if sheet.width > 5000:
            raise BadFile(f"The sheet has more than {MOST_COLUMNS} columns; keep those you need.")
        for row in sheet.iter_rows():
            yield [_cell(value) for value in row]
    except (CalamineError, OSError, ValueError) as problem:
        if isinstance(problem, BadFile):
            raise
        raise BadFile("The spreadsheet cannot be read; save it again as .xlsx or as CSV.") from None


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ")
    if isinstance(value, (date, time)):
        return value.isoformat()
    return str(value) if isinstance(value, timedelta) or value is not None else ""


def _check_sheet(path: Path, head: bytes) -> None:
    if head.startswith(b"\xd0\xcf"):
        return
    try:
        with zipfile.ZipFile(path) as packed:
            names, unpacked = packed.namelist(), sum(item.file_size for item in packed.infolist())
    except zipfile.BadZipFile:
        raise BadFile("The file is damaged; save it again as .xlsx or as CSV.") from None
    if not {"xl/workbook.xml", "xl/workbook.bin", "content.xml"} & set(names):
        raise BadFile("This is a packed file, not a spreadsheet; unpack it and bring the CSV or .xlsx inside.")
    if unpacked > LARGEST_UNPACKED:
        raise BadFile("The spreadsheet unpacks to more than 500 MB; save the leads alone as CSV.")


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        sample = file.read(SAMPLE)
        for mark, name in BOMS.items():
            if sample.startswith(mark):
                return name
        if sample.count(0) > len(sample) // 4:
            return "utf-16-le" if sample[1:2] == b"\0" else "utf-16-be"
        if sample.count(0) > max(4, len(sample) // 200):
            raise BadFile("This is not a text file; bring a CSV or an Excel file.")
        if _is_utf8(path):
            return "utf-8"
    guesses = from_bytes(sample, cp_isolation=ENCODINGS)
    best = guesses.best()
    if best is None:
        return "cp1252"
    western = next((g for g in guesses if "cp1252" in g.could_be_from_charset), None)
    return "cp1252" if western is not None and western.chaos <= best.chaos + 0.02 else best.encoding


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _delimiter(path: Path, encoding: str) -> str:
    try:
        with path.open(encoding=encoding, errors="replace", newline="") as file:
            text = file.read(SAMPLE)
    except LookupError:
        raise BadFile(f"There is no encoding called {encoding!r}; leave it to be found out.") from None
    if text[:4].lower() == "sep=" and len(text) > 4:
        return text[4]
    scores = {delimiter: _fit(text, delimiter) for delimiter in DELIMITERS}
    return max(scores, key=lambda d: scores[d])


def _fit(text: str, delimiter: str) -> tuple[float, int]:
    """How well a separator explains the text: rows of equal width first, then the more columns the better."""
    widths: list[int] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if row:
                widths.append(len(row))
            if len(widths) >= 50:
                break
    except csv.Error:
        pass  # a quote without end: what stands before it must do
    usual = max(set(widths), key=widths.count, default=1)
    if usual == 1:
        return (0.0, 1)
    return (round(widths.count(usual) / len(widths), 1), usual)


def _looks_like_header(rows: Sequence[Sequence[str]]) -> bool:
    first = [cell.strip() for cell in rows[0]]
    if any(_is_address(cell) for cell in first):
        return False
    if any(_is_address(cell.strip()) for row in rows[1:] for cell in row):
        return True
    return not any(cell.replace(".", "").replace("-", "").isdigit() for cell in first)


def _is_address(text: str) -> bool:
    if "@" not in text:
        return False
    try:
        canonical(text)
    except BadAddress:
        return False
    return True


def _distinct(names: Sequence[str], width: int) -> tuple[str, ...]:
    """A name for every column: given, numbered when it is missing or comes twice."""
    found: list[str] = []
    for place in range(width):
        name = " ".join((names[place] if place < len(names) else "").split())[:100] or f"Column {place + 1}"
        unique, number = name, 2
        while unique.casefold() in {f.casefold() for f in found}:
            unique, number = f"{name} ({number})", number + 1
        found.append(unique)
    return tuple(found)
