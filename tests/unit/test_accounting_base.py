"""What all readers share: one chunk at a time, tables of the user, options, texts in CSV."""

from __future__ import annotations

import gc
import gzip
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pytest

from analysis.accounting import delimited, formats, importing, opening
from analysis.accounting import reading as reading_
from analysis.accounting.options import Option, checked
from analysis.accounting.reading import Chunk, Reading
from analysis.accounting.tables import JOBS, SCHEMAS, frame_of
from analysis.accounting.user_tables import user_table
from analysis.storing import read_csv, write_csv
from analysis.wording import escaped
from analysis.workbook import write_tables
from sim.errors import ConfigError, DataError, EngineError
from tests.accounting_by_hand import import_of

ROW = "j{n},2026-09-01T00:00:00,2026-09-02T00:00:00,1\n"
HEAD = "job_id,start_utc,end_utc,gpus\n"


def _reading(path: Path, **options: Any) -> Reading:
    told = checked(formats.reader_of("tidy").OPTIONS, options, "tidy")
    return Reading((path,), told, "tidy", path.with_suffix(".refused"))


@pytest.mark.parametrize("packed", [False, True])
def test_readers_hold_one_block_at_a_time(packed, tmp_path, monkeypatch) -> None:
    """A file would be read ahead of its rows, or rows be kept after they were handed over."""
    monkeypatch.setattr(opening, "BLOCK", 2000)
    path, rows = tmp_path / "long.csv", 5000
    data = (HEAD + "".join(ROW.format(n=n) for n in range(rows))).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    given: list[int] = []
    blocks = opening.blocks_of_lines

    def counted(stream, size=None):
        for block, unended in blocks(stream, size):
            given.append(len(block))
            assert len(block) < 2 * (size or 2000)
            yield block, unended

    monkeypatch.setattr(delimited, "blocks_of_lines", counted)
    reading = _reading(path)
    alive: list[weakref.ref] = []
    seen = 0
    chunks = formats.reader_of("tidy").read(reading)
    ahead = len(given)
    for chunk in chunks:
        seen += len(chunk.line)
        alive.append(weakref.ref(chunk.frame))
        assert len(given) - ahead <= len(alive) + 1  # the header is looked for first
        gc.collect()
        assert sum(ref() is not None for ref in alive) == 1
        del chunk
    reading.close()
    assert seen == rows
    assert len(alive) > 100


def test_rows_go_to_disk_as_they_come(tmp_path, monkeypatch) -> None:
    """All rows of a file would be held until it is read."""
    monkeypatch.setattr(opening, "BLOCK", 2000)
    monkeypatch.setattr(importing.Spool.__init__.__globals__["pq"], "ParquetWriter", _Writer)
    monkeypatch.setitem(importing.Spool.__init__.__globals__, "_GROUP", 100)
    _Writer.most = 0
    text = HEAD + "".join(ROW.format(n=n) for n in range(3000))
    result = import_of("tidy", tmp_path, text)
    assert len(result.jobs) == 3000
    assert 0 < _Writer.most < 100 + 60  # a row group and a chunk


class _Writer(importing.Spool.__init__.__globals__["pq"].ParquetWriter):  # type: ignore[misc]
    most = 0

    def write_table(self, table: Any, row_group_size: int | None = None) -> None:
        _Writer.most = max(_Writer.most, len(table))
        super().write_table(table, row_group_size)


def test_garbage_without_end_is_given_up(tmp_path, monkeypatch) -> None:
    """A file of nothing but rows without sense would fill memory and disk with refusals."""
    monkeypatch.setattr(reading_, "MOST_REFUSED", 20)
    fine = HEAD + ROW.format(n=1)
    assert import_of("tidy", tmp_path, fine + 20 * "x\n").done.rows["refused"] == 20
    with pytest.raises(DataError, match="too many rows"):
        import_of("tidy", tmp_path, fine + 21 * "x\n")


class _Lossy:
    SAYS, OPTIONS, ROW = "Loses rows.", (), "line"

    def read(self, reading: Reading):
        """Read three rows, of which one becomes nothing."""
        path = reading.files[0]
        reading.read(path, 3)
        columns = {"job_id": ["a", "b"], "kind": "cpu", "state": "unknown", "source": "x"}
        yield Chunk(JOBS, frame_of(JOBS, columns, 2), path, np.array([1, 2]))


def test_a_reader_that_loses_rows_is_found_out(tmp_path) -> None:
    """A reader could drop rows silently."""
    reading = _reading(tmp_path / "a.csv")
    with pytest.raises(EngineError, match="rows do not add up"):
        importing.import_files(_Lossy(), reading, tmp_path)


def test_every_reader_keeps_the_protocol() -> None:
    """A format would be listed and then lack what every reader has."""
    assert len(formats.names()) >= 3
    for name in formats.names():
        reader = formats.reader_of(name)
        assert reader.SAYS.endswith(".")
        assert reader.ROW in ("line", "record")
        assert callable(reader.read)
        names = [option.name for option in reader.OPTIONS]
        assert len(set(names)) == len(names)
        for option in reader.OPTIONS:
            assert option.says
            assert option.kind != "number" or option.unit != "-"
            if not option.required and option.default is not None:
                told = checked([option], {option.name: option.default}, name)
                assert told == {option.name: option.default}


def test_every_column_says_what_it_is() -> None:
    """A column would have no unit or meaning for the docs."""
    for schema in SCHEMAS.values():
        assert schema.description
        for column in schema.columns.values():
            assert column.description
            assert column.metadata["unit"]


OPTIONS = (
    Option("n", "number", 1.0, "h", "-"), Option("flag", "flag", False, "-", "-"),
    Option("names", "list", [], "-", "-"), Option("file", "file", None, "-", "-"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [({"n": "x"}, "a number"), ({"n": True}, "a number"), ({"n": float("inf")}, "a number"),
     ({"flag": "yes"}, "true or false"), ({"names": "a"}, "a list"), ({"names": [[1]]}, "a list"),
     ({"file": "nowhere.yaml"}, "no such file"), ({"flags": True}, "did you mean 'flag'?")],
)  # fmt: skip
def test_options_of_a_wrong_type(given: dict[str, Any], said: str) -> None:
    """An option would be taken for what it is not."""
    with pytest.raises(ConfigError) as caught:
        checked(OPTIONS, given, "any")
    assert said in str(caught.value)


def _table(path: Path) -> dict[str, dict[str, Any]]:
    return user_table(path, {"gpus": float, "model": str}, {"model": ""})


def test_tables_of_the_user(tmp_path) -> None:
    """YAML and CSV of the same table would be read differently."""
    (tmp_path / "a.yaml").write_text("g1.large: {gpus: 2, model: A100}\ng2: {gpus: 0.5}\n")
    (tmp_path / "a.csv").write_text("name,model,gpus\ng1.large,A100,2\ng2,,0.5\n")
    wanted = {"g1.large": {"gpus": 2.0, "model": "A100"}, "g2": {"gpus": 0.5, "model": ""}}
    assert _table(tmp_path / "a.yaml") == _table(tmp_path / "a.csv") == wanted


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yaml", "g1: {gpu: 2}", "did you mean 'gpus'?"),
        ("a.yaml", "g1: {model: x}", "missing value"), ("a.yaml", "g1: 2", "not a row"),
        ("a.yaml", "[1]", "not a table"), ("a.yaml", "{", "not YAML"), ("a.yaml", "", "not a"),
        ("a.yaml", "g1: {gpus: -1}", "impossible number"), ("a.yaml", "g1: {gpus: .inf}", "number"),
        ("a.yaml", "g1: {gpus: true}", "number"), ("a.yaml", "g1: {gpus: 1, model: [x]}", "text"),
        ("a.csv", "name,gpus\ng1,1\ng1,2\n", "line 3: name given twice"),
        ("a.csv", "name,gpus\ng1,1,2\n", "line 2: wrong number of cells"),
        ("a.csv", "nam,gpus\ng1,1\n", "no column 'name'"), ("a.csv", "name,gpus\n", "nothing"),
        ("a.csv", 'name,gpus\n"g1,1\n', "not a line of CSV"),
    ],
)  # fmt: skip
def test_tables_of_the_user_that_cannot_be_used(name, text, said, tmp_path) -> None:
    """A table without sense would be used, or end in a traceback."""
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError) as caught:
        _table(tmp_path / name)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


EVIL = ("=cmd()", "+x", "-x", "@x", "\tx", "\rx")


def test_no_text_becomes_a_formula(tmp_path) -> None:
    """A name of a file would run as a formula in whoever opens a table; numbers would change."""
    table = pd.DataFrame({"=name": [*EVIL, "-", "-1.5"], "value": [-1.5] * 8})
    write_csv(table, tmp_path / "a.csv")
    write_tables({"t": table}, tmp_path)
    for path in (tmp_path / "a.csv", tmp_path / "tables" / "t.csv"):
        told = pd.read_csv(path)
        assert told.columns.tolist() == ["'=name", "value"]
        quoted = ["'" + name.replace("\r", " ") for name in EVIL]
        assert told["'=name"].tolist() == [*quoted, "-", "-1.5"]
        assert told["value"].tolist() == [-1.5] * 8
    assert table.columns[0] == "=name"
    sheet = openpyxl.load_workbook(tmp_path / "tables.xlsx")["t"]
    assert {cell.data_type for row in sheet.iter_rows(max_col=1) for cell in row} == {"s"}


def test_texts_come_back_as_they_were(tmp_path) -> None:
    """A sign before a name would be read back as an apostrophe and a sign."""
    texts = ["=cmd()", "+0.9 rate", "'quoted'", "'=", "-", "-1.5", "plain", "'"]
    table = pd.DataFrame({"=name": texts, "value": [-1.5] * 8, "none": [np.nan] * 8})
    write_csv(table, tmp_path / "a.csv")
    pd.testing.assert_frame_equal(read_csv(tmp_path / "a.csv"), table, check_dtype=False)


def test_markup_is_only_shown() -> None:
    """A name would become markup."""
    assert escaped("<b>*a*</b>") == "&lt;b&gt;\\*a\\*&lt;/b&gt;"
    assert escaped("a|b\nc") == "a\\|b c"
    assert escaped("[a](b) `c`") == "\\[a\\](b) \\`c\\`"
