"""The how-to of every format in the docs: written from the readers, checked in CI.

`python -m analysis.accounting_page` fills in docs/accounting.md, `--check` fails if it is not
current. A new reader appears by itself: its sentence, what its docstring says, its options, what it
notes, refuses and merges (fixed texts in its source), and the first lines of its golden file.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from analysis.accounting import formats
from analysis.accounting.options import Option
from analysis.accounting.tables import SCHEMAS
from analysis.pages import write_or_check

PAGE = Path("docs") / "accounting.md"
GOLDEN = Path("tests") / "golden" / "accounting"
LINES, LONGEST = 8, 150  # of an example
_SAYS = {
    "note": "It notes in the report (with the number of rows)",
    "merge": "It merges into another row",
    "refuse": "It refuses rows of which it says",
}


def tables() -> str:
    """Return the canonical tables as their schemas declare them."""
    parts = []
    for name, schema in SCHEMAS.items():
        head = f"### `{name}`: {schema.description}"
        lines = [head, "", "| column | unit | what |", "|---|---|---|"]
        for column, declared in schema.columns.items():
            unit = (declared.metadata or {}).get("unit", "-")
            lines.append(f"| `{column}` | {unit} | {declared.description} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def section(name: str) -> str:
    """Return the how-to of a format."""
    reader: Any = formats.reader_of(name)
    parts = [f"### `{name}`", reader.SAYS]
    _, _, body = (inspect.getdoc(reader) or "").partition("\n\n")
    required = [f"{o.name}=…" for o in reader.OPTIONS if o.required]
    command = " ".join(["aiaas import", name, "FILE…", *required])
    parts += [body, f"```console\n{command}\n```", _options(reader.OPTIONS)]
    for kind, sentences in said(reader).items():
        if sentences:
            listed = "\n".join(f"- {_cell(sentence)}" for sentence in sentences)
            parts.append(f"{_SAYS[kind]}:\n\n{listed}")
    parts.append(_example(name))
    return "\n\n".join(part for part in parts if part)


def said(reader: ModuleType) -> dict[str, list[str]]:
    """Return the fixed texts that a reader notes, merges and refuses with, in order and once."""
    tree = ast.parse(inspect.getsource(reader))
    names = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found: dict[str, list[str]] = {kind: [] for kind in _SAYS}
    for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call)):
        if isinstance(call.func, ast.Attribute) and call.func.attr in found:
            kind = call.func.attr
            texts = list(_texts(call.args, names))
            if texts and texts[0] not in found[kind]:
                found[kind].append(texts[0] if kind != "refuse" else _refusal(texts))
    return {kind: list(dict.fromkeys(sentences)) for kind, sentences in found.items()}


def _texts(arguments: Iterable[ast.expr], names: dict[str, ast.expr]) -> Iterator[str]:
    """Yield the texts among arguments; what is only known at run time is an ellipsis in them."""
    for argument in arguments:
        node = names.get(argument.id) if isinstance(argument, ast.Name) else argument
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values)


def _refusal(texts: list[str]) -> str:
    """Return field, what is wrong and what is expected in one line."""
    return ": ".join(texts[:2]) + (f" (expected {texts[2]})" if len(texts) > 2 else "")


def _options(options: tuple[Option, ...]) -> str:
    if not options:
        return "It has no options."
    lines = ["| option | default | unit | what |", "|---|---|---|---|"]
    for o in options:
        default = "has to be stated" if o.required else str(o.default or "-")
        known = f" ({' or '.join(o.choices)})" if o.choices else ""
        lines.append(f"| `{o.name}` | {default} | {o.unit} | {_cell(o.says + known)} |")
    return "\n".join(lines)


def _example(name: str) -> str:
    """Return the first lines of the format's golden file, if it is a text."""
    stem = name.replace("-", "_")
    for path in sorted(GOLDEN.glob(f"{stem}.*")):
        if path.is_file() and not path.name.endswith((".options.yaml", ".gz")):
            lines = path.read_bytes().decode("utf-8-sig", "replace").splitlines()[:LINES]
            shown = "\n".join(x if len(x) <= LONGEST else f"{x[:LONGEST]}…" for x in lines)
            return f"For example:\n\n```text\n{shown}\n```"
    return ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    """Write the page, or check."""
    every = "\n\n".join(section(name) for name in formats.names())
    blocks = {"tables": tables(), "formats": every}
    write_or_check(PAGE, blocks, "the readers", "analysis.accounting_page")


if __name__ == "__main__":
    main()
