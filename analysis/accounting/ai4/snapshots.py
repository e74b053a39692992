"""Snapshot files of ai4os/ai4-accounting: their time, and the jobs that each shows.

A file is `{namespace: [job, ...]}`, its name is its time. One file is read at a time.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from analysis.accounting.opening import opened
from sim.errors import DataError

STATUSES = (
    "running", "queued", "dead", "starting", "down", "complete", "failed", "error",
)  # fmt: skip
QUANTITIES = ("cpu_num", "cpu_MHz", "memory_MB", "disk_MB", "gpu_num")  # in the summaries' order
MOST_BYTES = 256_000_000  # of one snapshot; assumed: about 250,000 jobs
MOST = 1.0e15  # of a resource; schemas have their own bounds

_NAME = re.compile(
    r"(\d{4}-\d{2}-\d{2})T(\d{2})[:_-]?(\d{2})[:_-]?(\d{2})(?:\.\d+)?(Z|[+-]\d{2}[:_-]?\d{2})?"
    r"(?:\.json)?(?:\.gz)?$",
    re.ASCII,
)
_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})?", re.ASCII
)
_NOT_TEXT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_EPOCH, _US = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_NEVER = "0001-01-01"  # the zero time of Go, in which Nomad is written
TIME_EXPECTED = "RFC 3339 from 1970 to 2199, such as 2024-09-01T00:10:00.123456789Z, or null"
_NUMBER_EXPECTED = "a number of at least 0"


class Snapshot(NamedTuple):
    """One file: its time in µs since 1970 UTC, and the job records of each namespace."""

    path: Path
    time_us: int
    records: dict[str, list[Any]]


class Sighting(NamedTuple):
    """What one snapshot says of one job; times in µs since 1970, null where there is none.

    `submit_us` is of the server's clock, the others are of UTC. `amounts` are those of
    `QUANTITIES`; the memory may be missing (nan).
    """

    namespace: str
    job: str
    status: str
    owner: str
    datacenter: str
    allocation: str
    submit_us: int | None
    start_us: int | None
    end_us: int | None
    amounts: tuple[float, ...]
    called: tuple[str, ...]
    error: bool


class Refused(NamedTuple):
    """Why a record is none: the field, what is wrong with it, what was expected, what was given."""

    field: str
    what: str
    expected: str
    given: object


def time_of(path: Path, zone: str = "UTC") -> int:
    """Return the time of a snapshot from its name, µs since 1970.

    Args:
        path: `2024-09-02T00:00:00.json`; something before it, dashes for colons and `.gz` are
            accepted, and an offset such as `+02:00`.
        zone: IANA name of the zone of names without an offset.

    Raises:
        DataError: When there is no time in the name.

    >>> time_of(Path("2024-09-02T00:00:00.json")) == time_of(Path("2024-09-02T02-00-00+02-00.json"))
    True
    """
    found = _NAME.search(path.name)
    try:
        if found is None:
            raise ValueError
        day, hour, minute, second, offset = found.groups()
        mark = "" if offset is None else re.sub(r"[:_-]?(\d{2})$", r":\1", offset)
        time = datetime.fromisoformat(f"{day}T{hour}:{minute}:{second}{mark}")
        time = time.replace(tzinfo=ZoneInfo(zone)) if time.tzinfo is None else time
        if not 1970 <= time.year < 2200:
            raise ValueError
        return (time - _EPOCH) // _US
    except ValueError:
        expected = "a file named by its time, such as 2024-09-02T00:00:00.json"
        raise DataError("no time in its name", str(path), expected, path.name) from None


def in_order(files: list[Path] | tuple[Path, ...], zone: str = "UTC") -> list[tuple[int, Path]]:
    """Return the files with their times, the earliest first."""
    return sorted((time_of(path, zone), path) for path in files)


def snapshots(files: list[Path] | tuple[Path, ...], zone: str = "UTC") -> Iterator[Snapshot]:
    """Yield the snapshots of some files, the earliest first.

    Raises:
        DataError: For a file without a time in its name, or that is no snapshot.
    """
    for time_us, path in in_order(files, zone):
        yield Snapshot(path, time_us, records_of(path))


def records_of(path: Path) -> dict[str, list[Any]]:
    """Read a snapshot file.

    Raises:
        DataError: When it is not whole, or no snapshot.
    """
    expected = "a whole snapshot: {namespace: [job, ...]}"
    with opened(path) as stream:
        text = stream.read(MOST_BYTES + 1)
    if len(text) > MOST_BYTES:
        raise DataError("too long for a snapshot", str(path), f"at most {MOST_BYTES:,} bytes")
    try:
        data = json.loads(text.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        where = f"{path}, line {error.lineno}, column {error.colno}"
        raise DataError("not JSON, or cut off", where, expected, error.msg) from None
    except (ValueError, RecursionError) as error:
        what = " ".join(str(error).split())[:200]
        raise DataError("not JSON", str(path), expected, what) from None
    if not isinstance(data, dict):
        raise DataError("not a snapshot", str(path), expected, type(data).__name__)
    for name, jobs in data.items():
        if not isinstance(jobs, list) or _NOT_TEXT.search(name):
            where = f"{path}, field {_NOT_TEXT.sub(' ', name)[:80]}"
            raise DataError("not a namespace", where, "a list of jobs", type(jobs).__name__)
    return data


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"key {ascii(twice)[:80]} is there twice")
    return found


def sighting(namespace: str, record: Any) -> Sighting | Refused:
    """Read one record of a snapshot, or say why it cannot be."""
    if not isinstance(record, dict):
        return Refused("job", "not a record", "an object", type(record).__name__)
    try:
        job = _text(record, "job_ID", needed=True)
        status = _text(record, "status")
        if status not in STATUSES:
            raise _Wrong("status", "unknown status", "one of " + ", ".join(STATUSES), status)
        return Sighting(
            namespace, job, status, _text(record, "owner"), _text(record, "datacenter"),
            _text(record, "alloc_ID"), _submitted(record), *_allocated(record),
            _amounts(record.get("resources")),
            tuple(str(record.get(k) or "") for k in ("title", "name", "docker_image")),
            bool(record.get("error_msg")),
        )  # fmt: skip
    except _Wrong as wrong:
        return wrong.why


class Sightings:
    """Reads records; those that say what they said in the snapshot before are not read again.

    Most do. What is kept is one snapshot.
    """

    def __init__(self) -> None:
        self._before: dict[tuple[str, str], tuple[Any, Sighting]] = {}
        self._now: dict[tuple[str, str], tuple[Any, Sighting]] = {}

    def next_snapshot(self) -> None:
        """Say that the records to come are of another snapshot."""
        self._before, self._now = self._now, {}

    def read(self, namespace: str, record: Any) -> Sighting | Refused:
        """Return the same as `sighting`."""
        name = record.get("job_ID") if isinstance(record, dict) else None
        if not isinstance(name, str):
            return sighting(namespace, record)
        known = self._before.get((namespace, name))
        seen = known[1] if known and known[0] == record else sighting(namespace, record)
        if isinstance(seen, Sighting):
            self._now[namespace, name] = (record, seen)
        return seen


class _Wrong(Exception):
    def __init__(self, field: str, what: str, expected: str, given: object) -> None:
        super().__init__(what)
        self.why = Refused(field, what, expected, given)


def _text(record: dict[str, Any], name: str, *, needed: bool = False) -> str:
    value = record.get(name)
    if value is None:
        value = ""
    if not isinstance(value, str) or _NOT_TEXT.search(value):
        raise _Wrong(name, "not a text", "a text without control characters", ascii(value)[:80])
    if needed and not value:
        raise _Wrong(name, "empty", "a text", "")
    return value


def _allocated(record: dict[str, Any]) -> tuple[int | None, int | None]:
    """Return when resources were held from and until; digits below a microsecond are cut off."""
    start, end = (_time(record, name) for name in ("alloc_start", "alloc_end"))
    if start is None and end is not None:
        raise _Wrong("alloc_start", "missing for an allocation that ended", TIME_EXPECTED, "null")
    if start is not None and end is not None and end < start:
        given = f"{record['alloc_start']}, {record['alloc_end']}"
        raise _Wrong("alloc_end", "before alloc_start", "a time not before alloc_start", given)
    return start, end


def _submitted(record: dict[str, Any]) -> int | None:
    value = record.get("submit_time")
    if isinstance(value, str) and value[19:]:
        expected = "local time of the server as 2024-09-01 08:00:00, or null"
        raise _Wrong("submit_time", "not a time of the server", expected, value)
    return _time(record, "submit_time")


def _time(record: dict[str, Any], name: str) -> int | None:
    """Return a time, µs since 1970 of its own clock if it has no offset."""
    value = record.get(name)
    if value is None or value == "" or (isinstance(value, str) and value.startswith(_NEVER)):
        return None
    try:
        if not isinstance(value, str) or not _TIME.fullmatch(value):
            raise ValueError
        time = datetime.fromisoformat(value)  # cuts off what is below a microsecond
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
        if not 1970 <= time.year < 2200:
            raise ValueError
    except (ValueError, OverflowError):
        raise _Wrong(name, "not a time", TIME_EXPECTED, value) from None
    return (time - _EPOCH) // _US


def _amounts(resources: Any) -> tuple[float, ...]:
    if not isinstance(resources, dict):
        raise _Wrong("resources", "not an object", "the resources of the job", resources)
    amounts = tuple(_number(resources, name) for name in QUANTITIES)
    for name, amount in zip(("cpu_num", "gpu_num"), (amounts[0], amounts[4]), strict=True):
        if math.isnan(amount):
            raise _Wrong(f"resources.{name}", "missing", _NUMBER_EXPECTED, "")
    return amounts


def _number(resources: dict[str, Any], name: str) -> float:
    value = resources.get(name)
    if value is None:
        return math.nan
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    if not fits or not 0 <= value <= MOST:
        raise _Wrong(f"resources.{name}", "not a number", _NUMBER_EXPECTED, value)
    return float(value)
