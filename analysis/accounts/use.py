"""What a federation takes of an import: figures to fit, and an account of all that was left out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.accounting.tables import JOBS
from analysis.accounts.figures import as_rows, decided
from analysis.accounts.opening import Accounts, open_accounts, site_names
from analysis.accounts.records import Told, covered_months, records_of
from analysis.accounts.rules import Rules
from analysis.accounts.totals import Total, totals
from analysis.records.as_figures import CLOCK, rows_of
from analysis.records.summary import knows_inside
from analysis.storing import write_csv, write_text
from analysis.wording import escaped, thousands
from sim.entities import Federation
from sim.errors import DataError
from sim.timeline import months_of

CSV, PAGE = "data.csv", "data.md"
SOURCE = "jobs of data="  # not which folder: the same data are the same figures


@dataclass(frozen=True, eq=False)
class Use:
    """What was taken of an import.

    Args:
        accounts: The import.
        rules: How the federation wanted it read.
        totals: All totals, also those that are not fitted.
        window: Project months whose jobs are records; empty if none are.
        notes: What a reader should know.
        rows: Figures to fit, as rows of observations.
    """

    accounts: Accounts
    rules: Rules
    totals: tuple[Total, ...]
    window: str
    notes: tuple[str, ...]
    rows: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """Return every total, whether it is fitted, and why not."""
        names = [*Total.__dataclass_fields__]
        frame = pd.DataFrame([asdict(t) for t in self.totals], columns=names)
        frame.insert(7, "fitted", ["no" if t.left_out else "yes" for t in self.totals])
        return frame

    def says(self) -> list[str]:
        """Return it in lines for the terminal."""
        fitted = [t for t in self.totals if not t.left_out]
        known = [t for t in self.totals if t.agrees]
        lines = [*self.notes, f"totals: {len(fitted)} fitted of {len(self.totals)} in the data"]
        if known:
            lines[-1] += f"; {len(known)} are figures of the federation already, and agree"
        for total in self.totals:
            if total.left_out and not total.agrees:
                what = f"{total.site} {total.resource} {total.ledger} {total.period}"
                amount = f"{thousands(total.quantity, 6)} {total.unit} of {total.origin}"
                lines.append(f"left out: {what}, {amount}: {total.left_out}")
        return lines

    def manifest(self) -> dict[str, Any]:
        """Return what a manifest keeps of it."""
        return {
            "folder": str(self.accounts.folder),
            "sha256": self.accounts.sha256(),
            "rules": asdict(self.rules),
            "covered": self.accounts.covered(),
            "totals_fitted": sum(not t.left_out for t in self.totals),
            "totals_left_out": sum(bool(t.left_out) for t in self.totals),
            "records_window": self.window or None,
            "notes": list(self.notes),
        }

    def page(self) -> str:
        """Return it as a section of markdown; names from the data are escaped."""
        head = "origin | site | resource | ledger | period | quantity | unit | fitted | why"
        lines = [head, " | ".join("---" for _ in head.split("|"))]
        lines += [
            " | ".join((t.origin, escaped(t.site), t.resource, t.ledger, t.period,
                        thousands(t.quantity, 6), t.unit, "no" if t.left_out else "yes",
                        escaped(t.left_out or t.remark)))
            for t in self.totals
        ]  # fmt: skip
        table = "\n".join(f"| {line} |" for line in lines)
        notes = "\n".join(f"- {escaped(note)}" for note in self.notes)
        return f"## What was used of the data\n\n{notes}\n\n{table}\n"

    def write(self, folder: Path) -> None:
        """Write it as CSV and markdown."""
        write_csv(self.table(), folder / CSV)
        write_text(self.page(), folder / PAGE)


def use(
    folder: Path, rules: Rules, federation: Federation, observations: pd.DataFrame
) -> Use:
    """Decide what of an import is fitted.

    Args:
        folder: Of the import.
        rules: How the federation wants it read.
        federation: The federation.
        observations: Its own figures.

    Raises:
        ConfigError, DataError: For the first thing that cannot be used; when nothing can be fitted.
    """
    accounts = open_accounts(folder, rules)
    names = site_names(accounts, rules, federation.sites)
    found = decided(totals(accounts, federation.calendar, names), observations, federation)
    if rules.fits == "records":
        found = [_without(t, "fits: records (data.yaml)") for t in found]
    used = [t for t in found if not t.left_out]
    rows = as_rows(used, federation)
    last = max([federation.reported_months, *(months_of(t.period)[-1] for t in used)])
    window, told, notes = _records(accounts, rules, federation, last)
    if told is not None:
        more = rows_of(told.deployments, window, SOURCE, rules.shortest_min)
        rows = pd.concat([rows, more], ignore_index=True)
    if not len(rows) and not any(t.agrees for t in found):
        raise DataError("nothing in it that could be fitted", str(folder), *_why(found, notes))
    said = [f"data: {folder.name}, jobs of {accounts.covered()}" if accounts.rows[JOBS]
            else f"data: {folder.name}, no jobs", *_renamed(names), *notes]  # fmt: skip
    return Use(accounts, rules, tuple(found), window, tuple(said), rows)


def _records(
    accounts: Accounts, rules: Rules, federation: Federation, last: int
) -> tuple[str, Told | None, list[str]]:
    """Return the window, its records and what is to be said of them."""
    if rules.fits == "totals":
        return "", None, ["no records: fits: totals (data.yaml)"]
    covered = covered_months(accounts, federation.calendar, last)
    if rules.window is None:
        if not len(covered):
            return "", None, ["no records: the jobs cover no whole reported month"]
        months = covered
    else:
        months = months_of(rules.window)
        if not (len(covered) and covered[0] <= months[0] and months[-1] <= covered[-1]):
            has = f"M{covered[0]}-M{covered[-1]}" if len(covered) else "no whole month"
            expected = f"reported months that the jobs cover: {has}"
            raise DataError("no such window in the data", "data.yaml.window", expected,
                            rules.window)  # fmt: skip
    window = f"M{months[0]}-M{months[-1]}"
    shortest_h = rules.shortest_min / 60.0
    told = records_of(accounts, federation, months, CLOCK, shortest_h)
    notes = [f"{told.serving:,} serving jobs are no records"] if told.serving else []
    if not len(told.deployments):
        return "", None, [*notes, f"no records: no jobs with GPUs started in {window}"]
    notes += _said_of(told, window, rules.shortest_min)
    return window, told, notes


def _said_of(told: Told, window: str, shortest_min: int) -> list[str]:
    known = knows_inside(told.deployments)
    return [
        f"records: {len(told.deployments):,} jobs with GPUs that started in {window}",
        *([f"{told.over_nodes:,} jobs over several nodes count once a node"]
          if told.over_nodes else []),
        *([f"{told.shorter:,} records shorter than {shortest_min} min are left out, in the data "
           "and in runs alike; their hours are in the totals"] if shortest_min else []),
        "the share of time in which GPUs computed is "
        + ("known and fitted" if known else "not known well enough to be fitted"),
    ]  # fmt: skip


def _renamed(names: dict[str, str]) -> list[str]:
    return [
        f"site {name or '(not told)'} of the data is {site}"
        for name, site in names.items()
        if name != site
    ]


def _without(total: Total, why: str) -> Total:
    return total if total.left_out else Total(**{**asdict(total), "left_out": why})


def _why(found: Iterable[Total], notes: list[str]) -> tuple[str, str]:
    """Return what would have been needed and what there was."""
    reasons = list(dict.fromkeys(t.left_out for t in found))
    return "totals of a whole accounting period, or jobs with GPUs", "; ".join([*reasons, *notes])
