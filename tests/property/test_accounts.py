"""What must hold for any jobs: totals are integrals, and a folder made from them can be used."""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.accounts.opening import open_accounts
from analysis.accounts.rules import Rules
from analysis.accounts.totals import totals
from analysis.federations import federation_of, load_case
from analysis.starter.asked import Asked
from analysis.starter.gather import from_data
from analysis.starter.writing import texts
from sim.errors import DataError
from sim.timeline import ProjectCalendar, months_of
from tests.accounts_by_hand import import_folder

SECOND = np.timedelta64(1, "s")
BEGIN = np.datetime64("2024-01-01", "us")
JOB = st.tuples(
    st.integers(0, 200 * 86_400), st.integers(0, 100 * 86_400),
    st.sampled_from([0.0, 1.0, 2.0, 9.0]), st.sampled_from([0.0, 1.0, 4.0, 70.0]), st.booleans(),
)  # fmt: skip
NAMES = st.sampled_from(["", "a", "A", "vision lab", "null", "1e3", "${oc.env:HOME}", "x: y # z",
                         "=cmd()", "é", "'\"", "all", "a.b", "line\nbreak"])  # fmt: skip


def _columns(jobs: list[tuple]) -> dict[str, object]:
    start, held, gpus, cpus, runs = (np.array(c) for c in zip(*jobs, strict=True))
    first = BEGIN + start * SECOND
    end = np.where(runs, np.datetime64("NaT"), first + held * SECOND)
    return {
        "job_id": np.arange(len(jobs)).astype(str).astype(object), "state": "unknown",
        "kind": np.where(gpus > 0.0, "train", "cpu").astype(object), "start_utc": first,
        "end_utc": end, "gpus": gpus, "cpus": cpus,
    }  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(JOB, min_size=1, max_size=12), st.sampled_from([1, 2, 3, 6]))
def test_totals_are_integrals(jobs, period_months) -> None:
    """A total would be another number than the integral of what jobs hold over the period."""
    columns = {**_columns(jobs), "site": "North"}
    calendar = ProjectCalendar(date(2024, 1, 1), 12, period_months)
    with TemporaryDirectory() as made:
        folder = import_folder(Path(made), columns, until="2024-12-20")
        found = totals(open_accounts(folder, Rules()), calendar, {"North": "North"})
    end = np.where(np.isnat(columns["end_utc"]), np.datetime64("2024-12-20"), columns["end_utc"])
    for resource, rate in (("gpu", columns["gpus"]), ("cpu", columns["cpus"])):
        for period in calendar.periods():
            months = months_of(period)
            first, last = (np.datetime64(calendar.first_day(m), "us")
                           for m in (months[0], months[-1] + 1))  # fmt: skip
            held = np.minimum(end, last) - np.maximum(columns["start_utc"], first)
            hours = np.maximum(held / SECOND, 0.0) / 3600.0
            mine = [t.quantity for t in found if (t.resource, t.period) == (resource, period)]
            assert sum(mine) == pytest.approx(float((hours * rate).sum()), rel=1e-12, abs=1e-9)


def _whole_months(columns: dict) -> bool:
    """Return whether something was held in the first whole month from the first start on."""
    first = columns["start_utc"].min().astype("M8[D]")
    month = first.astype("M8[M]") + (first > first.astype("M8[M]").astype("M8[D]"))
    begin = month.astype("M8[us]")
    end = np.where(np.isnat(columns["end_utc"]), np.datetime64("2024-12-20"), columns["end_utc"])
    some = (columns["gpus"] > 0.0) | (columns["cpus"] > 0.0)
    meets = np.minimum(end, (month + 1).astype("M8[us]")) > np.maximum(columns["start_utc"], begin)
    return bool((some & meets).any()) and begin < np.datetime64("2024-11-30")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(JOB, min_size=1, max_size=15), st.lists(st.tuples(NAMES, NAMES, NAMES, NAMES),
             min_size=15, max_size=15),
    st.sampled_from(["project", "user", "all"]), st.sampled_from([None, "batch", "platform"]),
    st.integers(1, 3),
)  # fmt: skip
def test_a_folder_made_from_jobs_can_be_used(jobs, names, use_cases, template, most) -> None:
    """A table of jobs, or a name in it, would make a folder that the other verbs refuse."""
    user, project, site, model = (
        np.array(column[: len(jobs)], dtype=object) for column in zip(*names, strict=True)
    )
    columns = {**_columns(jobs), "user": user, "project": project, "site": site}
    columns["gpu_model"] = np.where(columns["gpus"] > 0.0, model, "").astype(object)
    facts = None
    asked = Asked(use_cases=use_cases, template=template, most_use_cases=most)
    with TemporaryDirectory() as made:
        data = import_folder(Path(made) / "data", columns, until="2024-12-20")
        with suppress(DataError):  # nothing was held for a whole month: said, not made up
            facts = from_data("mine", data, asked)
        if facts is None:
            assert not _whole_months(columns)
            return
        folder = Path(made) / "mine"
        folder.mkdir()
        for name, text in texts(facts, "./mine").items():
            (folder / name).write_text(text, encoding="utf-8")
        federation = federation_of(folder)
        case = load_case(federation, folder)
        told = load_case(federation, folder, data=data)
    assert case.federation.reported_months == facts.reported_months
    assert told.data is not None
    assert len(told.observations) >= len(case.observations)
    assert not [t for t in told.data.totals if "contradict" in t.left_out]
