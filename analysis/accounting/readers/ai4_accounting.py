"""Snapshots of ai4os/ai4-accounting, one set of them, to jobs.

A job is in many snapshots. What it held is integrated from alloc_start to alloc_end, which are
exact (nanoseconds are cut to microseconds); snapshots only tell the rest: a job without alloc_end
runs up to the last snapshot if that shows it, and if it vanishes before, ended somewhere between
the last snapshot that shows it and the next (`vanished` says where; how many hours hang on that is
noted). Queued jobs hold nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.accounting.ai4 import jobs, watching
from analysis.accounting.ai4.masks import masks_of
from analysis.accounting.ai4.snapshots import Refused, Sightings, Snapshot, snapshots
from analysis.accounting.ai4.watching import Watch
from analysis.accounting.options import SITE, ZONE, Option
from analysis.accounting.reading import Chunk, Reading
from analysis.accounting.tables import JOBS, frame_of
from analysis.accounting.times import localised
from sim.errors import ConfigError
from sim.units import US_PER_H

SAYS = (
    "Snapshots of ai4os/ai4-accounting (https://github.com/ai4os/ai4-accounting), JSON files named "
    "by their UTC time; all of one set, or the folder."
)
VANISHED = Option(
    "vanished", "choice", "last", "-",
    "when a job ended that is no longer shown: at the last snapshot that shows it, at the next, or "
    "in the middle; last is assumed", watching.RULES,
)  # fmt: skip
MHZ = Option(
    "mhz_per_core", "number", 2000.0, "MHz",
    "MHz that make a core, for jobs that were asked for in MHz; assumed",
)  # fmt: skip
FILE_ZONE = Option(
    "file_time_zone", "zone", "UTC", "-", "IANA name of the zone of file names without an offset"
)
MASKS = Option(
    "map", "file", None, "-",
    "known tracking gaps: a table with name, pattern, from and until; matching jobs do not count "
    "in that time",
)  # fmt: skip
OPTIONS = (SITE, ZONE, FILE_ZONE, VANISHED, MHZ, MASKS)
ROW = "record"

AGAIN = "a job that a later snapshot shows as well, or this one once more"
MASKED = "all of the job's time is masked (map)"
_BLOCK = 20_000  # rows a chunk
_GAPS_SHOWN = 10
_NONE = np.iinfo(np.int64).min  # not a time


def read(reading: Reading) -> Iterator[Chunk]:
    """Yield the jobs of all snapshots together."""
    options = reading.options
    if not options["mhz_per_core"] > 0.0:
        raise ConfigError("too small", "mhz_per_core", "above 0", options["mhz_per_core"])
    masks = masks_of(options["map"])
    reading.lacking = [mask.days for mask in masks]
    reading.one_set = True
    watch, sightings, good = Watch(), Sightings(), 0
    for snapshot in snapshots(tuple(reading.files), options["file_time_zone"]):
        good += _look(reading, watch, sightings, snapshot)
    reading.until_utc = pd.Timestamp(watch.last_us, unit="us", tz="UTC")
    rows = jobs.Rows(watch, options["vanished"], options["mhz_per_core"], masks)
    _say_before(reading, watch)
    each = iter(rows)
    while block := list(islice(each, _BLOCK)):
        yield _chunk(reading, block)
    for path, lines in reading.whence(np.array(rows.masked, dtype=np.int64)):
        reading.merge(path, lines, MASKED)
    reading.repeat(good - len(watch.allocations) - len(watch.waiting), AGAIN)
    _say_after(reading, watch, rows)


def _look(reading: Reading, watch: Watch, sightings: Sightings, snapshot: Snapshot) -> int:
    """Show a snapshot to the watch; returns how many of its records could be used."""
    path, first = snapshot.path, int(reading.places(snapshot.path, [0])[0])
    number = good = 0
    sightings.next_snapshot()
    for namespace, records in snapshot.records.items():
        watch.begin(namespace, snapshot.time_us)
        for record in records:
            number += 1
            seen = sightings.read(namespace, record)
            if isinstance(seen, Refused):
                reading.refuse(path, [number], seen.field, seen.what, seen.expected, [seen.given])
            else:
                watch.see(seen, snapshot.time_us, first + number)
                good += 1
    watch.last_us = max(watch.last_us, snapshot.time_us)
    reading.read(path, number)
    return good


def _chunk(reading: Reading, rows: Sequence[jobs.Row]) -> Chunk:
    columns = jobs.columns_of(rows)
    zone = reading.options["time_zone"]
    submit, place = localised(_times(columns["submit_us"]), zone), np.array(columns["place"])
    for sentence, count in (("come twice, the first is meant", submit.twice),
                            ("do not exist, clocks skipped them", submit.skipped)):  # fmt: skip
        reading.note(f"submit_time of {zone} that {sentence}", count)
    gpus = np.array(columns["gpus"])
    frame = frame_of(JOBS, {
        "job_id": columns["job"], "user": columns["owner"], "project": columns["namespace"],
        "site": [d or reading.options["site"] for d in columns["datacenter"]],
        "kind": np.where(gpus > 0.0, "train", "cpu").tolist(), "submit_utc": submit.utc,
        "start_utc": _times(columns["start_us"]), "end_utc": _times(columns["end_us"]),
        "state": columns["state"], "gpus": gpus, "cpus": np.array(columns["cpus"]),
        "mem_gb": np.array(columns["memory_mb"]) / 1000.0,
        "source": reading.sources(place),
    }, len(rows))  # fmt: skip
    return Chunk(JOBS, frame, None, place)


def _times(values: Sequence[int | None]) -> NDArray[np.datetime64]:
    """Return µs since 1970 as times; NaT for None."""
    found = np.array([_NONE if value is None else value for value in values], dtype=np.int64)
    return found.view("datetime64[us]")


def _say_before(reading: Reading, watch: Watch) -> None:
    reading.note(
        "alloc_start and alloc_end are exact, nanoseconds cut to microseconds; memory_MB are "
        "10**6 bytes; submit_time is of " + reading.options["time_zone"]
    )
    for namespace, times in watch.times.items():
        begin, end = (f"{pd.Timestamp(t, unit='us'):%Y-%m-%d %H:%M:%S}" for t in
                      (times[0], times[-1]))  # fmt: skip
        usual = watching.usual_interval_us(times) / US_PER_H
        usually = f", usually every {usual:.4g} h" if len(times) > 1 else ""
        reading.note(f"Snapshots of {namespace}: {len(times):,}, from {begin} to {end}{usually}")


def _say_after(reading: Reading, watch: Watch, rows: jobs.Rows) -> None:
    for sentence, count in (watch.counts + rows.counts).items():
        if sentence in rows.unsure:
            job_h, gpu_h = rows.unsure[sentence]
            sentence += (f" (vanished={rows.rule}): their ends are known to within {job_h:,.6g} "
                         f"job-hours, {gpu_h:,.6g} GPU-h in all")  # fmt: skip
        reading.note(_capital(sentence), count)
    reading.note(_capital(watching.REUSED), watch.reused())
    for namespace, times in watch.times.items():
        _say_gaps(reading, watch, rows.rule, namespace, times)
    for mask in rows.masks:
        left = rows.left.get(mask.name, jobs.Left())
        reading.note(
            f"Mask {mask.name} ({mask.pattern}) left out {left.job_h:,.6g} job-hours, "
            f"{left.gpu_h:,.6g} GPU-h and {left.cpu_h:,.6g} CPU-h of jobs", left.jobs,
        )  # fmt: skip


def _say_gaps(
    reading: Reading, watch: Watch, rule: str, namespace: str, times: Sequence[int]
) -> None:
    found, soon = watching.gaps(times)
    reading.note(
        f"Snapshots of {namespace} less than half the usual time after the one before: a clock was "
        "set, or somebody took one by hand", soon,
    )  # fmt: skip
    if not found:
        return
    held = watching.held_in(watch, rule, namespace, found)
    longest = np.argsort([begin - end for begin, end in found], kind="stable")[:_GAPS_SHOWN]
    reading.note(
        f"Gaps in the snapshots of {namespace}, longer than {watching.GAP} usual intervals: "
        f"{held[:, 0].sum():,.6g} job-hours and {held[:, 1].sum():,.6g} GPU-h in them rest on the "
        "snapshots around them; jobs that began and ended in one are unknown", len(found),
    )  # fmt: skip
    for at in sorted(longest):
        begin, end = (f"{pd.Timestamp(t, unit='us'):%Y-%m-%d %H:%M:%S}" for t in found[at])
        reading.note(
            f"Gap of {namespace} from {begin} to {end}: {held[at, 0]:,.6g} job-hours, "
            f"{held[at, 1]:,.6g} GPU-h"
        )


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]
