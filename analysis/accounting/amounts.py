"""Rows that tell amounts of several resources: an aggregate for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.accounting.reading import Chunk
from analysis.accounting.rows import Rows
from analysis.accounting.tables import AGGREGATES, UNITS, frame_of


class Amount(NamedTuple):
    """What rows tell of one resource at one level; nan where a row tells nothing."""

    resource: str
    ledger: str
    quantity: NDArray[np.float64]


def aggregates(rows: Rows, amounts: Sequence[Amount], **columns: Any) -> Chunk:
    """Return the aggregates of the rows that are kept.

    Args:
        rows: From a file.
        amounts: Of all rows, in the unit of their resource.
        columns: period_start, period_end, site and project: arrays of all rows, or one value.
    """
    told = [np.flatnonzero(rows.keep & ~np.isnan(a.quantity)) for a in amounts]
    at = np.concatenate(told)

    def each(values: Sequence[str]) -> NDArray[np.object_]:
        return np.repeat(np.array(values, dtype=object), [len(mine) for mine in told])

    made = {
        **{name: _taken(values, at) for name, values in columns.items()},
        "resource": each([a.resource for a in amounts]),
        "ledger": each([a.ledger for a in amounts]),
        "unit": each([UNITS[a.resource] for a in amounts]),
        "quantity": np.concatenate(
            [a.quantity[mine] for a, mine in zip(amounts, told, strict=True)]
        ),
        "source": rows.reading.source(rows.path),
    }
    return Chunk(AGGREGATES, frame_of(AGGREGATES, made, len(at)), rows.path, rows.line[at])


def _taken(values: Any, at: NDArray[np.int64]) -> Any:
    if isinstance(values, pa.Array):
        return values.take(pa.array(at))
    return values[at] if isinstance(values, np.ndarray) else values
