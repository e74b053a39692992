"""JSON as it streams, quotes in delimited text, sums over files, TB-months."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import ijson
import numpy as np
import pytest

from analysis.accounting import json_records, json_walk
from analysis.accounting.delimited import Layout, split
from analysis.accounting.reading import Reading
from analysis.accounting.volumes import tb_months
from sim.errors import DataError
from tests.accounting_by_hand import GOLDEN, golden_options, import_of

JSON_GOLDENS = sorted(p for p in GOLDEN.glob("*.json") if not p.name.startswith("ai4"))


def _values(path: Path, data: bytes | str, prefix: str = "data.item") -> list:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return list(json_walk.values(path, prefix, "JSON {data: [...]}"))


def test_json_is_parsed_in_c() -> None:
    """Without its C backend ijson would be ten times too slow for large files."""
    assert ijson.backend == "yajl2_c"


@pytest.mark.parametrize("block", [1, 2, 3, 7, 1 << 18])
def test_signs_in_texts_are_no_structure(block: int, tmp_path, monkeypatch) -> None:
    """A bracket or an escaped quote in a name would count as nesting, where blocks are cut."""
    monkeypatch.setattr(json_walk, "_BLOCK", block)
    names = ['a"[[[', "\\", '\\"', "{" * 200, '\\\\"]', "é[", "\\\\\\", '"']
    assert _values(tmp_path / "a", json.dumps({"data": names})) == names


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ('{"data": ' + "[" * 5000, "nested beyond reason"),
        ('{"data": [' + '{"a":' * 5000, "nested beyond reason"),
        ("[" * 3_000_000, "nested beyond reason"),
        ('{"data": [{"a": "' + "x" * 2_000_000, "record too long"),
        ('{"data": [{"a": [' + "1," * 2_000_000, "record too long"),
        ('{"data": [[' + '{"a": 1},' * 300_000, "record too long"),
        ('{"' + "x" * 2_000_000, "record too long"),
        ('{"data": [1, 2', "not JSON, or cut off"),
        ('{"data": [1, 2]', "not JSON, or cut off"),
        ('{"data": [1 2]}', "after record"),
        ('{"data": [NaN]}', "not JSON"),
        ('{"data": [1e999]}', "not JSON"),
        ('{"data": [99999999999999999999]}', "not JSON"),
        (b'{"data": ["\xff"]}', "not JSON"),
        (b'{"data": ["\\udc00\\ud800"]}', "not JSON"),
        ("no json", "not JSON"),
        (" ", "not JSON"),
        ("", "the file is empty"),
    ],
)
def test_absurd_json_is_refused_in_one_line(data: str | bytes, said: str, tmp_path) -> None:
    """A file that is nested without end, or one heap of data, would exhaust stack or memory."""
    with pytest.raises(DataError) as caught:
        _values(tmp_path / "a", data)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_one_block_is_held_at_a_time(tmp_path, monkeypatch) -> None:
    """A whole file would be read before the first of its records is handed over."""
    monkeypatch.setattr(json_walk, "_BLOCK", 1000)
    path = tmp_path / "a"
    path.write_text(json.dumps({"data": [{"n": n} for n in range(10_000)]}))
    read = []
    look = json_walk._Guarded._look
    monkeypatch.setattr(
        json_walk._Guarded, "_look", lambda me, data: (read.append(len(data)), look(me, data))
    )
    values = json_walk.values(path, "data.item", "")
    assert next(values) == {"n": 0}
    assert sum(read) <= 2000
    assert sum(1 for _ in values) == 9999
    assert sum(read) == path.stat().st_size


def test_documents_one_after_another(tmp_path) -> None:
    """Of messages that were put into one file only the first would be read."""
    assert _values(tmp_path / "a", '{"data": [1]}\n{"data": [2, 3]}') == [1, 2, 3]


@pytest.mark.parametrize("path", JSON_GOLDENS, ids=lambda p: p.name)
@pytest.mark.parametrize("changed", [
    lambda b: b"\xef\xbb\xbf" + b, lambda b: b.replace(b"\n", b"\r\n"), gzip.compress,
    lambda b: b.replace(b"\n", b"\n\n"), lambda b: b.rstrip(),
    lambda b: json.dumps(json.loads(b), indent=3).encode(),
])  # fmt: skip
def test_other_ways_to_write_the_same(changed, path: Path, tmp_path) -> None:
    """A BOM, other line ends, gzip or other blanks would change what is read."""
    name = path.name.partition(".")[0]
    plain = import_of(name, tmp_path, path.read_bytes(), **golden_options(name))
    same = import_of(name, tmp_path, changed(path.read_bytes()), **golden_options(name))
    assert same.jobs.equals(plain.jobs)
    assert same.aggregates.equals(plain.aggregates)
    assert len(plain.jobs) + len(plain.aggregates) > 0


@pytest.mark.parametrize("path", JSON_GOLDENS, ids=lambda p: p.name)
def test_a_file_that_is_cut_off_is_refused(path: Path, tmp_path) -> None:
    """Of a file that is not whole a part would be imported, however much is missing."""
    name, data = path.name.partition(".")[0], path.read_bytes().rstrip()
    for length in (len(data) - 1, len(data) * 2 // 3):
        with pytest.raises(DataError, match="cut off"):
            import_of(name, tmp_path, data[:length], **golden_options(name))


def _texts(folder: Path, records: list, **shape) -> tuple[Reading, list[list[str]]]:
    path = folder / "a"
    reading = Reading((path,), {}, "some", folder / "refused.csv")
    told = json_records.Shape(("a", "b"), **shape)
    made = list(json_records.rows(reading, path, records, told, "JSON"))
    reading.close()
    rows = [
        [int(line), *(rows.text(n)[at].as_py() for n in ("a", "b"))]
        for rows in made for at, line in enumerate(rows.line) if rows.keep[at]
    ]  # fmt: skip
    return reading, rows


def test_values_become_texts(tmp_path) -> None:
    """A number would lose digits, or null, true and what is missing become the same as a text."""
    records = [{"a": 0.1, "b": 2**53 + 1}, {"a": None}, {"a": True, "b": " x "}, {"a": "", "c": 1}]
    reading, rows = _texts(tmp_path, records)
    assert rows == [[1, "0.1", "9007199254740993"], [2, "", ""], [3, "true", "x"], [4, "", ""]]
    assert reading.rows_read.total() == 4
    assert list(reading.notes) == ["Keys that are not read: c"]


def test_what_is_no_record_or_value_is_refused(tmp_path, monkeypatch) -> None:
    """Nested or foreign things in the place of a record or a value would be lost in silence."""
    monkeypatch.setattr(json_records, "_PIECE", 2)
    records = [
        {"a": 1}, 7, {"a": [1]}, {"a": 2, "b": {}}, {"a": "x\ny"}, None, {"b": "\x7f"}, {"b": 3}
    ]  # fmt: skip
    reading, rows = _texts(tmp_path, records)
    assert rows == [[1, "1", ""], [8, "", "3"]]
    told = {(r.row, r.field, r.what) for r in reading.first}
    assert told == {
        (2, "record", "not a record"), (6, "record", "not a record"), (3, "a", "not a value"),
        (4, "b", "not a value"), (5, "a", "control character"), (7, "b", "control character"),
    }  # fmt: skip


def test_lists_as_records(tmp_path) -> None:
    """Values of a list would be taken for those of other columns."""
    records = [[1, "x", 2], [1, "x"], {"a": 1}, [3, None, "y"]]
    reading, rows = _texts(tmp_path, records, columns=("b", "c", "a"))
    assert rows == [[1, "2", "1"], [4, "y", "3"]]
    assert len(reading.first) == 2


@pytest.mark.parametrize(
    ("rows", "cells"),
    [
        ('"x","1"\n"y, z","2"\n', [["x", "1"], ["y, z", "2"]]),
        ('x,"1"\n"",2\n', [["x", "1"], ["", "2"]]),
        ('"a""b",1\n', [['a"b', "1"]]),
        ('"x",1\n"y,2\nz,3\n', [["x", "1"], ["z", "3"]]),
        ('"x,1",2\n"y",1,2\n', [["x,1", "2"]]),
        ('"x",1\ny"z,2\n"u,v",3\n', [["x", "1"], ["u,v", "3"]]),
        ('"a","b",\n"c","d"\n', [["c", "d"]]),
    ],
)
def test_quotes(rows: str, cells: list[list[str]], tmp_path) -> None:
    """Cells in quotes would be cut at delimiters, or stray quotes swallow what follows."""
    path = tmp_path / "a"
    path.write_text("a,b\n" + rows)
    reading = Reading((path,), {}, "some", tmp_path / "refused.csv")
    found: list[tuple[str, str]] = []
    for part in split(reading, path, Layout(",", ("a", "b"))):
        found += zip(part.text("a").to_pylist(), part.text("b").to_pylist(), strict=True)
    reading.close()
    assert [list(row) for row in found] == cells
    assert len(found) + reading.reasons.total() == rows.count("\n")


def test_tb_months_are_of_calendar_months() -> None:
    """A TB kept for February would be less than one kept for March."""
    times = np.array(
        ["2027-02-01", "2027-03-01", "2027-04-01", "2027-02-15", "2027-03-16T12:00"], "M8[us]"
    )
    start, end = times[[0, 1, 0, 3]], times[[1, 2, 2, 4]]
    held_h = (end - start) / np.timedelta64(1, "h")
    # half of February's 28 days, and half of March's 31
    assert tb_months(held_h, start, end) == pytest.approx([1.0, 1.0, 2.0, 1.0], abs=1e-12)
    assert np.isnan(tb_months(np.ones(1), times[:1], times[:1])).all()


def test_sums_reach_over_files_and_batches(tmp_path, monkeypatch) -> None:
    """A sum would begin anew with each file, or each thousand rows."""
    monkeypatch.setattr(json_records, "BATCH", 2)
    monkeypatch.setattr(json_records, "_PIECE", 1)
    one = json.loads((GOLDEN / "apel_gpu.json").read_bytes())
    record = one["UsageRecords"][0]
    texts = []
    for file in range(3):
        records = [{**record, "AssociatedRecord": f"{file}-{n}"} for n in range(5)]
        texts.append(json.dumps({**one, "UsageRecords": records}))
    result = import_of("apel_gpu", tmp_path, *texts)
    # 15 machines with a GPU for a day
    assert result.aggregates["quantity"].tolist() == [15 * 24.0]
    assert result.done.rows == {"read": 15, "used": 1, "refused": 0, "merged": 14}
    assert result.aggregates["source"].tolist() == ["apel_gpu:given0.txt"]
