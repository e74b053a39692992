"""`aiaas import`: read accounting exports into two tables with a report."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from analysis.accounting import formats
from analysis.accounting.importing import import_files
from analysis.accounting.options import checked
from analysis.accounting.reading import Reader, Reading
from analysis.accounting.report import formats_table, options_table, report, shown
from analysis.progress import progress, stdout
from analysis.runfolder import open_run_folder
from analysis.storing import write_text
from sim.errors import ConfigError, DataError

_OWN = ("format", "files", "options", "until")


@dataclass(frozen=True, eq=False)
class Job:
    """A checked import."""

    config: dict[str, Any]
    name: str
    reader: Reader
    files: tuple[Path, ...]
    options: dict[str, Any]
    until: pd.Timestamp | None


def rewritten(arguments: Sequence[str]) -> list[str] | None:
    """Turn `FORMAT FILE… key=value …` into overrides; None if help was all that was wanted.

    A key that the verb does not have itself is an option of the format. What stands for a format
    and files is told from overrides by place and by being a file: `a=b.csv` is a file if it exists.
    """
    helped = any(a in ("-h", "--help") for a in arguments)
    plain = [a for a in arguments if "=" not in a.lstrip("-") or Path(a).is_file()]
    plain = [a for a in plain if not a.startswith("-")]
    if not plain and (helped or not arguments):
        known = [(name, formats.reader_of(name).SAYS) for name in formats.names()]
        stdout().print(formats_table(known))
        return None
    if plain and helped:
        reader = formats.reader_of(plain[0])
        stdout().print(reader.SAYS, highlight=False, markup=False)
        stdout().print(options_table(plain[0], reader.OPTIONS))
        return None
    others = [a for a in arguments if a not in plain]
    if not plain:
        return others
    kinds = {option.name: option.kind for option in formats.reader_of(plain[0]).OPTIONS}
    files = ",".join(map(_quoted, plain[1:]))
    return [f"format={_quoted(plain[0])}", f"files=[{files}]", *(_option(a, kinds) for a in others)]


def _option(argument: str, kinds: Mapping[str, str]) -> str:
    """Turn an option of the format into an override; texts are quoted, whatever is in them."""
    key, _, value = argument.partition("=")
    if argument.startswith("-") or key.lstrip("+~").partition(".")[0] in (*_OWN, "hydra"):
        return argument
    if kinds.get(key) in ("text", "choice", "zone", "file") and value != "null":
        value = _quoted(value)
    return f"++options.{key}={value}"


def _quoted(text: str) -> str:
    r"""Quote a text for Hydra's grammar.

    >>> print(_quoted("it's"))
    'it\'s'
    """
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def prepare(config: DictConfig) -> Job:
    """Check format, files and options; nothing is read yet.

    Raises:
        ConfigError, DataError: For the first thing that cannot be used.
    """
    data: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    if data["format"] is None:
        known = formats.names()
        raise ConfigError("no format", "aiaas import", "FORMAT FILE… of " + ", ".join(known))
    reader = formats.reader_of(str(data["format"]))
    name = str(data["format"]).replace("_", "-")
    files = tuple(_files(data["files"]))
    if not files:
        raise ConfigError("no file", "aiaas import", f"aiaas import {name} FILE…")
    known: set[Path] = set()
    for path in files:
        if path.resolve() in known:
            raise ConfigError("file given twice", "files", "different files", str(path))
        known.add(path.resolve())
        if not path.is_file():
            near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            raise DataError("no such file", str(path), "a file of accounting", path.name, near)
    options = checked(reader.OPTIONS, data["options"] or {}, name)
    return Job(data, name, reader, files, options, _until(data["until"]))


def _files(given: Sequence[Any]) -> Iterator[Path]:
    """Yield files; of a folder those in it, by name."""
    for path in (Path(str(name)) for name in given):
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.is_file() and p.name[0] != ".")
            if not inside:
                raise DataError("no file in the folder", str(path), "files of accounting")
            yield from inside
        else:
            yield path


def _until(text: Any) -> pd.Timestamp | None:
    if text is None:
        return None
    try:
        time = pd.Timestamp(str(text))
        return time.tz_localize("UTC") if time.tz is None else time.tz_convert("UTC")
    except (ValueError, OverflowError):
        expected = "a UTC time such as 2026-10-01"
        raise ConfigError("not a time", "until", expected, str(text)) from None


def execute(job: Job) -> Path:
    """Read the files and write tables and report; returns their folder, made at the end."""
    with TemporaryDirectory(dir=Path.cwd(), prefix=".aiaas-import-") as made:
        part = Path(made)
        refused = part / "refused.csv"
        reading = Reading(job.files, job.options, job.name, refused, word=job.reader.ROW)
        with progress("rows", None) as advance:
            done = import_files(job.reader, reading, part, job.until, advance)
        write_text(report(done, job.reader.SAYS, job.options), part / "report.md")
        inputs = {str(path): path for path in job.files}
        folder = open_run_folder("import", job.config, inputs, None)
        for path in sorted(part.iterdir()):
            shutil.move(path, folder.path / path.name)
    folder.finish(
        "finished", rows=done.rows, tables=done.tables, options=job.options,
        until_utc=done.until.isoformat() if done.until is not None else None,
        lacking=reading.lacking,
    )  # fmt: skip
    stdout().print(shown(done))
    print(f"results: {folder.path}")
    return folder.path
