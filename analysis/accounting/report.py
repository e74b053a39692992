"""What an import says: `report.md`, and the same in short on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from analysis.accounting.importing import Imported
from analysis.accounting.options import Option
from analysis.accounting.reading import FIRST
from analysis.wording import escaped, thousands

_MONTHS_SHOWN = 24  # on the terminal; the report has all
_REASONS_SHOWN = 20


def report(done: Imported, says: str, options: dict[str, Any]) -> str:
    """Return the report of an import as markdown; names from files are escaped."""
    reading, word = done.reading, done.reading.word
    files = [(p, f"{reading.rows_read[p]:,}") for p in reading.files]
    read = ("read", "used", "refused", "merged")
    parts = [
        f"# Import of {escaped(reading.format_name)}",
        escaped(says),
        f"## Rows ({word}s)",
        _markdown(read, [[f"{done.rows[name]:,}" for name in read]]),
        "Rows read are used, refused or merged into another; nothing else becomes of a row.",
        _markdown(("file", "rows read"), files),
        _markdown(("table", "rows written"), [(t, f"{n:,}") for t, n in done.tables.items()]),
        "## Refused",
        *_refused(done),
        "## Merged",
        _list(f"{escaped(why)}: {n:,}" for why, n in reading.merged_why.items()) or "None.",
        "## Totals per month and resource",
        _until(done),
        _markdown(
            ("month", "from", "resource", "ledger", "quantity", "unit"),
            [(r.month, r.table, r.resource, r.ledger, thousands(r.quantity, 6), r.unit)
             for r in done.totals.itertuples()],
        ),
        "## What was assumed, and what to look at",
        _list(map(escaped, [*_notes(done), *_states(done)])) or "Nothing.",
        "## Options",
        _list(f"`{name}` = {escaped(str(value))}" for name, value in options.items()) or "None.",
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def shown(done: Imported) -> RenderableType:
    """Return the summary for the terminal."""
    rows = ", ".join(f"{count:,} {name}" for name, count in done.rows.items())
    lines = [f"rows: {rows}"]
    lines += [f"{n:,} refused: {field}: {what} (expected {expected})"
              for (field, what, expected), n in done.reading.reasons.most_common(5)]  # fmt: skip
    lines += [f"{n:,} merged: {why}" for why, n in done.reading.merged_why.items()]
    lines += [*_notes(done), *_states(done)]
    table = Table(title="Totals per month")
    for name in ("month", "resource", "ledger", "quantity", "unit"):
        table.add_column(name, justify="right" if name == "quantity" else "left")
    for row in done.totals.head(6 * _MONTHS_SHOWN).itertuples():
        table.add_row(row.month, row.resource, row.ledger, thousands(row.quantity, 6), row.unit)
    return Group(*(Text(line) for line in lines), Text(_until(done)), table)


def _until(done: Imported) -> str:
    if not done.states.get("still running"):
        return "Months are of UTC; an aggregate is in the month in which its period begins."
    return (
        f"Months are of UTC; an aggregate is in the month in which its period begins. Jobs that "
        f"still run are counted up to {done.until:%Y-%m-%d %H:%M:%S} UTC."
    )


def _refused(done: Imported) -> list[str]:
    reading = done.reading
    if not reading.reasons:
        return ["None."]
    reasons = reading.reasons.most_common(_REASONS_SHOWN)
    said = [(escaped(name), what, escaped(expected), f"{n:,}")
            for (name, what, expected), n in reasons]  # fmt: skip
    first = [
        (escaped(r.file), str(r.row), escaped(r.field), r.what, escaped(r.expected),
         escaped(r.given))
        for r in reading.first
    ]  # fmt: skip
    return [
        _markdown(("field", "what", "expected", "rows"), said),
        f"The first {min(FIRST, len(first))}; all are in `refused.csv`:",
        _markdown(("file", reading.word, "field", "what", "expected", "given"), first),
    ]


def _notes(done: Imported) -> list[str]:
    return [
        f"{sentence} ({count:,})" if count else sentence
        for sentence, count in done.reading.notes.items()
    ]


def _states(done: Imported) -> list[str]:
    return [f"Jobs {words}: {count:,}" for words, count in done.states.items() if count]


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _markdown(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(str(cell) for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def options_table(name: str, options: Sequence[Option]) -> Table:
    """Return what a format may be told, for the terminal."""
    table = Table(title=Text(f"aiaas import {name} FILE… [option=value …]"))
    for head in ("option", "default", "unit", "what"):
        table.add_column(head)
    for option in options:
        known = f" ({' or '.join(option.choices)})" if option.choices else ""
        default = "has to be stated" if option.required else str(option.default or "-")
        cells = (option.name, default, option.unit, option.says + known)
        table.add_row(*map(Text, cells))
    return table


def formats_table(known: Sequence[tuple[str, str]]) -> Table:
    """Return the formats there are, for the terminal."""
    title = Text("aiaas import FORMAT FILE… [option=value …]; --help after a format: its options")
    table = Table("format", "what", title=title)
    for row in known:
        table.add_row(*map(Text, row))
    return table
