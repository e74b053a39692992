"""The one page a planner reads; every number in it comes from a table."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from analysis import comparators as named
from analysis.budgets import COLUMNS as EXHAUSTION_COLUMNS
from analysis.frames import (
    AVERAGED,
    by_time,
    headline_hypothesis,
    headline_period,
    hypotheses_of,
    require,
    span,
)
from analysis.wording import interval, percent, period_word, resource_word, thousands, under
from sim.errors import DataError

LEFT_AT_PRIOR = 0.9  # posterior over prior standard deviation; above it the data taught nothing
_SUMMARY = ["hypothesis", "period", "site", "resource", "ledger", "unit", "p05", "p50", "p95"]


def write_report(
    folder: Path,
    summary: pd.DataFrame,
    compared: pd.DataFrame,
    exhausted: pd.DataFrame,
    identifiability: pd.DataFrame,
    fit: pd.DataFrame,
    laws: pd.DataFrame,
    figures: Mapping[str, Path],
    hypotheses: Mapping[str, str] | None = None,
    title: str = "",
    words: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    """Write `report.md`: the answer first, then what it rests on.

    Args:
        folder: Where to write; figures are linked relative to it.
        summary: From `tables.summarise`.
        compared: From `comparators.comparators`.
        exhausted: From `budgets.exhaustion`.
        identifiability: parameter, unit, prior_sd, posterior_sd, ratio, sentence; a column
            hypothesis where several were fitted.
        fit: id, period, reported, p05, p50, p95, inside; label, unit, hypothesis where known.
        laws: hypothesis, law, prior_weight, weight, log_evidence, log_evidence_sd.
        figures: PNG files by caption, in the order of the page; inside or beside `folder`.
        hypotheses: What each hypothesis means, in a sentence.
        title: Name of the federation.
        words: Sentences by their heading: what is known, what is assumed, what would change it.

    Returns:
        Path of `report.md`.

    Raises:
        DataError: When a table lacks a column or the summary has no federation-wide rows.
    """
    _check(summary, compared, exhausted, identifiability, fit, laws)
    period = headline_period(summary)
    parts = [
        _head(summary, period, title),
        _answer(summary, compared, period),
        _budgets(exhausted),
        _sites(summary, period),
        *(_sentences(heading, lines) for heading, lines in (words or {}).items()),
        _pictures(folder, figures),
        _hypotheses(summary, hypotheses or {}),
        _limits(identifiability),
        _misses(fit),
        _laws(laws),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.md"
    path.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")
    return path


def markdown_table(frame: pd.DataFrame) -> str:
    r"""Write a table of texts as Markdown, first column left, others right.

    >>> print(markdown_table(pd.DataFrame({"a": ["x|y"], "b": ["1"]})))
    | a | b |
    |:--|--:|
    | x\|y | 1 |
    """

    def line(cells: Sequence[object]) -> str:
        texts = [" ".join(str(cell).replace("|", "\\|").split()) for cell in cells]
        return f"| {' | '.join(texts)} |"

    rule = "|:--|" + "--:|" * (len(frame.columns) - 1)
    rows = [line(row) for row in frame.itertuples(index=False, name=None)]
    return "\n".join([line(list(frame.columns)), rule, *rows])


def _check(
    summary: pd.DataFrame, compared: pd.DataFrame, exhausted: pd.DataFrame,
    identifiability: pd.DataFrame, fit: pd.DataFrame, laws: pd.DataFrame,
) -> None:
    """Refuse tables that lack what the page needs, before anything is written."""
    require(summary, _SUMMARY, "summary")
    require(compared, named.COLUMNS, "compared")
    require(exhausted, EXHAUSTION_COLUMNS, "exhausted")
    require(identifiability, ["parameter", "unit", "prior_sd", "posterior_sd", "ratio",
                              "sentence"], "identifiability")
    require(fit, ["id", "period", "reported", "p05", "p50", "p95", "inside"], "fit")
    require(laws, ["hypothesis", "law", "prior_weight", "weight", "log_evidence",
                   "log_evidence_sd"], "laws")


def _rows(summary: pd.DataFrame, period: str, everywhere: bool) -> pd.DataFrame:
    """Return the rows of one period in the reported ledger, of all sites together or of each."""
    rows = summary[(summary["period"] == period) & (summary["ledger"] == "reported")]
    rows = rows[(rows["site"] == "all") == everywhere]
    if everywhere and not len(rows):
        raise DataError("nothing projected for all sites", "summary",
                        f"site all, ledger reported, {period}")
    return rows


def modelled(rows: pd.DataFrame) -> pd.DataFrame:
    """Leave out resources of which a site has nothing under any hypothesis."""
    return rows[rows.groupby(["site", "resource"])["p95"].transform("max") > 0.0]


def _sentences(heading: str, lines: Sequence[str]) -> str:
    """Write a section of sentences; none if there are none."""
    return f"## {heading}\n\n" + "\n".join(f"- {line}" for line in lines) if lines else ""


def _months(period: str) -> str:
    """Name a period with its months."""
    months = "M{}-M{}".format(*span(period))
    return period if period == months else f"{period} ({months})"


def _head(summary: pd.DataFrame, period: str, title: str) -> str:
    """Say what the page is and how its numbers read."""
    name = f"{title}: " if title else ""
    shown = headline_hypothesis(summary)
    periods = [label for label in by_time(summary["period"]) if label != period]
    others = ", ".join(map(period_word, periods))
    tables = f" The tables beside this page also have {others}." if periods else ""
    return (
        f"# {name}projection of {_months(period)}\n\n"
        "Numbers are medians with their 90 % interval [5 % - 95 %], three digits, in the ledger "
        "*reported*: what the accounting would show. Where one number is given it is "
        f"{under(shown)}.{tables}"
    )


def _answer(summary: pd.DataFrame, compared: pd.DataFrame, period: str) -> str:
    """Give the totals, and how they compare with each named comparator."""
    rows = modelled(_rows(summary, period, everywhere=True))
    names = hypotheses_of(summary)
    table = _wide(rows, ["resource", "unit"], names)
    table.insert(0, "resource", [
        f"{resource_word(r)} ({u})" for r, u in zip(table.pop("resource"), table.pop("unit"),
                                                    strict=True)
    ])
    lines = ["## The answer", "", markdown_table(table)]
    if len(compared):
        lines += ["", f"Probability that {period} is lower than", "",
                  markdown_table(_comparator_table(compared, names))]
    return "\n".join(lines)


def _comparator_table(compared: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Lay out probabilities: a row for each resource and comparator, a column a hypothesis."""
    lines = []
    for keys, group in compared.groupby(["resource", "label", "value", "unit"], sort=False):
        resource, label, value, unit = keys
        found = group.set_index("hypothesis")["p_lower"]
        line = {
            "comparator": f"{resource_word(str(resource))}: {label} ({thousands(value)} {unit})"
        }
        lines.append(line | {
            _column(n): percent(found[n]) if n in found.index else "" for n in names
        })
    return pd.DataFrame(lines)


def _column(hypothesis: str) -> str:
    """Head the column of a hypothesis, which may be named like another column (`site`)."""
    return hypothesis if hypothesis == AVERAGED else f"`{hypothesis}`"


def _wide(rows: pd.DataFrame, keys: list[str], names: list[str]) -> pd.DataFrame:
    """Lay out intervals: a row for each of the keys, a column a hypothesis."""
    lines = []
    for values, group in rows.groupby(keys, sort=False):
        found = group.set_index("hypothesis")
        cells = {
            _column(name): interval(*found.loc[name, ["p50", "p05", "p95"]])
            if name in found.index else ""
            for name in names
        }
        lines.append(dict(zip(keys, values, strict=True)) | cells)
    return pd.DataFrame(lines)


def _budgets(exhausted: pd.DataFrame) -> str:
    """Say when each budget runs out: in words for the headline, in a table for each hypothesis."""
    if not len(exhausted):
        return ""
    names = hypotheses_of(exhausted)
    sentences = exhausted[exhausted["hypothesis"] == names[0]]["sentence"]
    lines = []
    for resource, group in exhausted.groupby("resource", sort=False):
        cells = group.set_index("hypothesis").to_dict("index")
        lines.append({"resource": resource_word(str(resource))} | {
            _column(name): _exhausted_cell(cells[name]) if name in cells else "" for name in names
        })
    return "\n".join([
        "## Budgets", "", *(f"- {sentence}" for sentence in sentences), "",
        f"Probability of being used up by the end of M{exhausted['horizon_month'].iloc[0]}, and "
        "the day (median [5 % - 95 %] of the draws in which it falls into the projection):", "",
        markdown_table(pd.DataFrame(lines)),
    ])


def _exhausted_cell(row: Mapping[str, object]) -> str:
    """Give one budget under one hypothesis in a few words."""
    if row["p_already"] == 1.0:
        return f"used up in {row['already_period']}"
    chance = percent(float(str(row["p_exhausted"])))
    already = float(str(row["p_already"]))
    if already > 0.0:
        chance += f" ({percent(already)} in {row['already_period']})"
    if row["date_p50"] is None or pd.isna(row["date_p50"]):
        return chance
    return f"{chance}, {row['date_p50']} [{row['date_p05']} - {row['date_p95']}]"


def _sites(summary: pd.DataFrame, period: str) -> str:
    """Give each site's share."""
    rows = modelled(_rows(summary, period, everywhere=False))
    if not len(rows):
        return ""
    table = _wide(rows, ["site", "resource", "unit"], hypotheses_of(summary))
    table["resource"] = [resource_word(name) for name in table["resource"]]
    return f"## {period} by site\n\n{markdown_table(table)}"


def _pictures(folder: Path, figures: Mapping[str, Path]) -> str:
    """Embed the figures, each linked with its table."""
    lines = []
    for caption, path in figures.items():
        link = Path(os.path.relpath(path, folder)).as_posix()
        table = f"{link.removesuffix('.png')}.csv"
        lines.append(f"![{caption}]({link})\n\n{caption} ([table]({table}))")
    return "## Figures\n\n" + "\n\n".join(lines) if lines else ""


def _hypotheses(summary: pd.DataFrame, meanings: Mapping[str, str]) -> str:
    """Say what each hypothesis takes the report to mean."""
    lines = [f"- `{n}`: {meanings[n]}" for n in hypotheses_of(summary) if n in meanings]
    return "## How the report is read\n\n" + "\n".join(lines) if lines else ""


def _limits(identifiability: pd.DataFrame) -> str:
    """List the parameters that the data left where the prior had them."""
    several = "hypothesis" in identifiability.columns
    keys = ["parameter", "unit"]
    left = identifiability[identifiability["ratio"] > LEFT_AT_PRIOR]
    total = len(identifiability.drop_duplicates(keys))
    lines = []
    for (parameter, unit), group in left.groupby(keys, sort=False):
        where = f" under {', '.join(f'`{n}`' for n in group['hypothesis'])}" if several else ""
        ratios = sorted({f"{ratio:.2f}" for ratio in group["ratio"]})
        span_text = ratios[0] if len(ratios) == 1 else f"{ratios[0]} to {ratios[-1]}"
        lines.append(
            f"- `{parameter}` ({unit}): posterior over prior standard deviation {span_text}"
            f"{where}. {group['sentence'].iloc[0]}"
        )
    if not lines:
        return (f"## What the data cannot say\n\nEach of the {total} parameters was informed: "
                f"no ratio of posterior to prior standard deviation exceeds {LEFT_AT_PRIOR}.")
    return (
        f"## What the data cannot say\n\nLeft at their prior (ratio above {LEFT_AT_PRIOR}): "
        f"{len(lines)} of {total} parameters; what depends on them is assumed, not measured.\n\n"
        + "\n".join(lines)
    )


def _misses(fit: pd.DataFrame) -> str:
    """Name the reported figures outside their posterior predictive interval."""
    missed = fit[~fit["inside"].astype(bool)]
    several = fit.assign(hypothesis=fit["hypothesis"] if "hypothesis" in fit.columns else "-")
    counts = []
    for name, group in several.groupby("hypothesis", sort=False):
        inside = int(group["inside"].astype(bool).sum())
        counts.append(f"{inside} of {len(group)}" + (f" under `{name}`" if name != "-" else ""))
    start = (
        "## Which reported figures the fit misses\n\n"
        "Reported figures inside their 90 % posterior predictive interval: "
        f"{', '.join(counts) or 'none fitted'}"
    )
    if not len(missed):
        return f"{start}."
    lines = []
    for row in missed.to_dict("records"):
        unit = "" if row.get("unit", "-") in ("-", "count") else f" {row['unit']}"
        where = f", under `{row['hypothesis']}`" if row.get("hypothesis", "-") != "-" else ""
        lines.append(
            f"- {row.get('label', row['id'])}, {period_word(row['period'])}{where}: reported "
            f"{thousands(row['reported'])}{unit}, predicted "
            f"{interval(row['p50'], row['p05'], row['p95'])}{unit}"
        )
    return f"{start}. Outside:\n\n" + "\n".join(lines)


def _laws(laws: pd.DataFrame) -> str:
    """Give the weights of the growth laws."""
    if not len(laws):
        return ""
    table = pd.DataFrame({
        "hypothesis": laws["hypothesis"],
        "growth law": laws["law"],
        "prior weight": [f"{weight:.2f}" for weight in laws["prior_weight"]],
        "weight": [f"{weight:.2f}" for weight in laws["weight"]],
        "log evidence": [
            f"{value:.1f} ± {sd:.1f}" for value, sd in
            zip(laws["log_evidence"], laws["log_evidence_sd"], strict=True)
        ],
    })
    return f"## Weights of the growth laws\n\n{markdown_table(table)}"
