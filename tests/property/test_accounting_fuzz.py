"""Mangled files of every format: refused in one line, or every row accounted for.

`AIAAS_FUZZ_EXAMPLES=10000 pytest tests/property/test_accounting_fuzz.py` mangles each golden file
ten thousand times; without it a few dozen, for time.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import resource
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.accounting import formats
from analysis.accounting.tables import AGGREGATE_SCHEMA, JOB_SCHEMA
from sim.errors import DataError
from tests.accounting_by_hand import Result, golden_options, goldens, import_of

EXAMPLES = int(os.environ.get("AIAAS_FUZZ_EXAMPLES", "40"))
SLOWEST_MS = 20_000  # of one small file on a busy machine: what takes longer hangs
GREEDIEST_KB = 500_000  # more memory for one small file than before
ABSURD = (
    b"-1", b"1e300", b"-1e300", b"nan", b"inf", b"9999-12-31T23:59:59", b"0001-01-01", b"", b"\x00",
    b"=cmd()", b"\xff\xfe", b'"', b"99999999999999999999", b"1.234,5", b"null", b"[]", b"{}",
    b"\xef\xbb\xbf", b"\r", b"\n", b"None", b"true", b"a" * 2000, "é".encode("latin-1"), b"0",
)  # fmt: skip
ABSURD_VALUES = (
    None, True, -1, 0, 1e300, -0.5, float("nan"), float("inf"), 10**30, "", "nan", "=cmd()", "\x00",
    "\ud800", "a" * 2000, "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-02-30", [], {},
    [[]], {"": {}}, ["a", 1, None],
)  # fmt: skip
Change = Callable[[bytes, random.Random], bytes]


def _flipped(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def _beheaded(data: bytes, chance: random.Random) -> bytes:
    return data[chance.randrange(len(data)) :]


def _line_twice(data: bytes, chance: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    at = chance.randrange(len(lines))
    return b"".join([*lines[: at + 1], *lines[at:]])


def _line_moved(data: bytes, chance: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    line = lines.pop(chance.randrange(len(lines)))
    lines.insert(chance.randrange(len(lines) + 1), line)
    return b"".join(lines)


def _columns_swapped(data: bytes, chance: random.Random) -> bytes:
    """Swap two cells, in all lines or in one."""
    sign = max(b'|,; ":', key=data.count)
    lines = [line.split(bytes([sign])) for line in data.split(b"\n")]
    a, b = chance.randrange(12), chance.randrange(12)
    some = lines if chance.random() < 0.5 else [chance.choice(lines)]
    for cells in some:
        if max(a, b) < len(cells):
            cells[a], cells[b] = cells[b], cells[a]
    return b"\n".join(bytes([sign]).join(cells) for cells in lines)


def _absurd(data: bytes, chance: random.Random) -> bytes:
    """Put something absurd in the place of a few bytes, or between two."""
    at = chance.randrange(len(data))
    return data[:at] + chance.choice(ABSURD) + data[at + chance.choice([0, 1, 4, 19]) :]


def _number_replaced(data: bytes, chance: random.Random) -> bytes:
    """Put something absurd in the place of a run of digits."""
    digits = [i for i, c in enumerate(data) if 48 <= c < 58]
    if not digits:
        return data
    at = end = chance.choice(digits)
    while at > 0 and 48 <= data[at - 1] < 58:
        at -= 1
    while end < len(data) and 48 <= data[end] < 58:
        end += 1
    return data[:at] + chance.choice(ABSURD) + data[end:]


def _cell_replaced(data: bytes, chance: random.Random) -> bytes:
    """Put something absurd in the place of one cell, so that its line stays one."""
    sign = max((b"|", b",", b";", b" ", b":"), key=data.count)
    lines = data.split(b"\n")
    at = chance.randrange(len(lines))
    cells = lines[at].split(sign)
    cells[chance.randrange(len(cells))] = chance.choice(ABSURD)
    lines[at] = sign.join(cells)
    return b"\n".join(lines)


def _value_replaced(data: bytes, chance: random.Random) -> bytes:
    """Replace, leave out or repeat one value of a JSON, so that it stays one; else one cell."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return _cell_replaced(data, chance)
    places: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        keys = node if isinstance(node, dict) else range(len(node) if isinstance(node, list) else 0)
        places += [(node, key) for key in keys]
        waiting += [node[key] for key in keys]
    if not places:
        return data
    node, key = chance.choice(places)
    change = chance.randrange(6)
    if change == 0:
        del node[key]
    elif change == 1 and isinstance(node, list):
        node.insert(key, node[key])
    else:
        node[key] = chance.choice(ABSURD_VALUES)
    return json.dumps(tree).encode()


def _packed(data: bytes, _: random.Random) -> bytes:
    return gzip.compress(data)


CHANGES = (
    _flipped, _cut, _beheaded, _line_twice, _line_moved, _columns_swapped, _absurd,
    _number_replaced, _number_replaced, _cell_replaced, _value_replaced, _value_replaced,
    _value_replaced, _packed,
)  # fmt: skip


def test_every_format_has_a_golden_file() -> None:
    """A format would be mangled by nobody."""
    assert {name.replace("_", "-") for name, _ in goldens()} == set(formats.names())


def _most_kb() -> int:
    """Return the most memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _imported(name: str, path: Path, data: bytes) -> Result | DataError:
    path.write_bytes(data)
    try:
        return import_of(name, path.parent, path, **golden_options(name))
    except DataError as error:
        return error


@pytest.mark.parametrize(("name", "path"), goldens(), ids=lambda v: getattr(v, "name", v))
@settings(max_examples=EXAMPLES, deadline=SLOWEST_MS, suppress_health_check=[HealthCheck.too_slow])
@given(changes=st.lists(st.sampled_from(CHANGES), min_size=1, max_size=4),
       seed=st.integers(0, 2**32))  # fmt: skip
def test_mangled_files(name: str, path: Path, changes: list[Change], seed: int) -> None:
    """A mangled file would end in a traceback, or rows of it get lost or mean what cannot be."""
    chance = random.Random(seed)
    data = path.read_bytes()
    for change in changes:
        data = change(data, chance) if data else data
    with TemporaryDirectory() as folder:
        most = _most_kb()
        result = _imported(name, Path(folder, path.name), data)
        assert _most_kb() - most < GREEDIEST_KB
        if isinstance(result, DataError):
            assert path.name in result.where
            assert result.what
            assert result.expected
            assert "\n" not in str(result)
            assert len(str(result)) < 2000
            return
        rows = result.done.rows
        assert rows["read"] == rows["used"] + rows["refused"] + rows["merged"]
        assert rows["used"] > 0
        assert len(result.refused) >= rows["refused"]
        told = result.refused[["file", "row", "field", "what", "expected"]]
        assert told.notna().all(axis=None)
        assert np.isfinite(result.done.totals["quantity"].to_numpy(np.float64)).all()
        assert (result.done.totals["quantity"] >= 0.0).all()
        for frame, schema in ((result.jobs, JOB_SCHEMA), (result.aggregates, AGGREGATE_SCHEMA)):
            assert list(frame) == list(schema.columns)
