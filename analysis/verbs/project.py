"""`aiaas project`: project the months to come from posterior draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from omegaconf import DictConfig
from rich.table import Table

from analysis import figure_tables, figures, projection
from analysis.budgets import exhaustion
from analysis.calibration.shipped import Posterior, read_posterior
from analysis.comparators import comparators
from analysis.comparison import compare
from analysis.cumulative import elapsed_date
from analysis.frames import AVERAGED
from analysis.hypotheses import consumption
from analysis.outputs import TargetValues
from analysis.progress import progress, stdout
from analysis.report import write_report
from analysis.runfolder import RunFolder, open_run_folder
from analysis.storing import write_csv, write_parquet
from analysis.tables import report_tables, summarise
from analysis.verbs.common import Setup, at_least, one_of, prepare_setup
from analysis.verbs.run import changed_inputs, warn_if_changed
from analysis.workbook import write_tables
from analysis.worlds import specs_of
from sim.ensemble import run_many
from sim.errors import ConfigError
from sim.runner import RunSpec
from sim.units import UNIT_OF

OWN = {"draws": int, "replicates": int, "hypothesis": str, "posterior": (str, type(None))}


@dataclass(frozen=True, eq=False)
class Job:
    """A checked projection."""

    setup: Setup
    posterior: Posterior
    draws: pd.DataFrame
    specs: list[RunSpec]
    changed: tuple[str, ...]


def prepare(config: DictConfig) -> Job:
    """Check the configuration of a projection.

    Raises:
        ConfigError, DataError: For the first thing that cannot be used.
    """
    setup = prepare_setup(config, OWN)
    case, options = setup.case, setup.options
    if case.federation.reported_months >= case.federation.calendar.months:
        raise ConfigError("nothing left to project", "federation.reported_months",
                          "fewer than calendar.months", case.federation.reported_months)
    names = list(case.hypotheses.hypotheses)
    chosen = one_of(options, "hypothesis", [*names, AVERAGED])
    where = options["posterior"]
    posterior = read_posterior(Path(where) if where else case.folder / "posterior")
    wanted = names if chosen == AVERAGED else [chosen]
    count, replicates = at_least(options, "draws", 2), at_least(options, "replicates", 1)
    missing = [n for n in wanted if n not in set(posterior.draws["hypothesis"])]
    if missing:
        raise ConfigError("the posterior has no draws of it", "hypothesis",
                          "a posterior made with it", missing[0],
                          posterior.draws["hypothesis"].unique())
    draws = posterior.draws[posterior.draws["draw"] < count]
    draws = pd.concat([draws[draws["hypothesis"] == n] for n in wanted], ignore_index=True)
    specs = specs_of(case, setup.policies, draws, replicates, setup.seed)
    return Job(setup, posterior, draws, specs, changed_inputs(setup, posterior))


def execute(job: Job) -> Path:
    """Run the ensemble and write tables, figures and the report; returns their folder."""
    setup = job.setup
    warn_if_changed(job.changed)
    folder = open_run_folder("project", setup.config, setup.inputs(), setup.seed)
    try:
        ensemble = _play(job)
        answer = _write(job, ensemble, folder)
    except BaseException as error:
        folder.finish("interrupted" if isinstance(error, KeyboardInterrupt) else "failed")
        raise
    folder.finish("finished", posterior_changed=job.changed, posterior=job.posterior.made_from)
    stdout().print(_shown(answer))
    print(f"results: {folder.path}")
    print(f"read first: {folder.path / 'report.md'}")
    return folder.path


def _play(job: Job) -> projection.Ensemble:
    figures_ = projection.figures_of(job.setup.case)
    keep = projection.Keep(TargetValues(figures_))
    kept = []
    with progress("runs", len(job.specs)) as advance:
        for one in run_many(job.specs, keep, job.setup.jobs, batch=4):
            kept.append(one)
            advance(1)
    each = job.setup.options["replicates"]
    names = [n for n in job.draws["hypothesis"] for _ in range(each)]
    return projection.Ensemble(kept, names, figures_)


def _write(job: Job, ensemble: projection.Ensemble, folder: RunFolder) -> pd.DataFrame:
    case, path = job.setup.case, folder.path
    calendar = case.federation.calendar
    past, future = projection.periods_of(case.federation)
    months = range(case.federation.reported_months + 1, calendar.months + 1)
    draws = projection.usage_draws(ensemble, case, future)
    history = projection.usage_draws(ensemble, case, past)
    monthly = projection.monthly_draws(ensemble, case, months)
    halves = [p for p in future if p[0].startswith("M") and len(p[1]) <= calendar.period_months]
    metrics = projection.metric_draws(ensemble, case, [*past, *halves])
    consumed = consumption(case.observations, case.hypotheses)
    consumed = consumed[consumed["hypothesis"].isin(set(ensemble.hypothesis))]
    budgets = pd.DataFrame(
        [(r, q, UNIT_OF[r]) for r, q in case.federation.budgets.items() if q > 0.0],
        columns=["resource", "quantity", "unit"],
    )
    date_at = elapsed_date(calendar)
    fit = _fit(job, ensemble)
    summary = summarise(draws)
    exhausted = exhaustion(monthly, consumed, budgets, date_at)
    compared = comparators(draws, case.observations)
    write_parquet(draws, path / "projection_draws.parquet")
    write_parquet(history, path / "history_draws.parquet")
    write_csv(summary, path / "projection.csv")
    write_csv(exhausted, path / "budgets.csv")
    write_csv(compared, path / "comparators.csv")
    write_csv(fit, path / "fit.csv")
    meanings = {n: case.hypotheses.hypotheses[n].says for n in dict.fromkeys(ensemble.hypothesis)}
    tables = report_tables(
        case.observations, history, draws, metrics, monthly, consumed, budgets, date_at
    )
    write_tables(tables, path, hypotheses=meanings)
    bands = figure_tables.cumulative_bands(
        case.observations, history, monthly, consumed, budgets, date_at
    )
    checked = figure_tables.fit_check(fit, case.observations)
    pictures = _draw(bands, figure_tables.site_year(draws, case.observations), checked,
                     path / "figures")
    write_report(
        path, summary, compared, exhausted, _identifiability(job, ensemble.hypothesis), checked,
        job.posterior.laws[job.posterior.laws["hypothesis"].isin(meanings)], pictures, meanings,
        case.federation.name,
    )
    return summary


def _fit(job: Job, ensemble: projection.Ensemble) -> pd.DataFrame:
    case, parts = job.setup.case, []
    for name in dict.fromkeys(ensemble.hypothesis):
        chosen, values = projection.fitted_values(ensemble, case, name)
        noise = [case.hypotheses.noise_of(t) for t in chosen]
        parts.append(compare(name, chosen, values, noise, job.setup.seed))
    return pd.concat(parts, ignore_index=True)


def _identifiability(job: Job, hypotheses: Sequence[str]) -> pd.DataFrame:
    table = job.posterior.parameters
    table = table[table["hypothesis"].isin(set(hypotheses))].copy()
    table["sentence"] = [
        f"{row.verdict}; prior: {row.source}" for row in table.itertuples()
    ]
    return table


def _draw(
    bands: pd.DataFrame, sites: pd.DataFrame, checked: pd.DataFrame, folder: Path
) -> dict[str, Path]:
    """Draw all figures; returns them by caption in the order of the report's page."""
    titles = {"storage": "Storage", "gpu": "GPU", "cpu": "CPU"}
    pictures = {}
    for resource, title in titles.items():
        rows = bands[bands["resource"] == resource]
        if len(rows):
            caption = f"{title}: consumption, reported and projected"
            pictures[caption] = figures.draw_cumulative(rows, folder, f"{resource}")
            pictures[f"{caption}, by hypothesis"] = figures.draw_cumulative_wide(
                rows, folder, f"{resource}_by_hypothesis"
            )
    pictures["Projected time per site"] = figures.draw_sites(sites, folder, "sites")
    pictures["Reported figures and posterior predictive intervals"] = figures.draw_fit(
        checked, folder, "fit"
    )
    return pictures


def _shown(summary: pd.DataFrame) -> Table:
    hypotheses = list(dict.fromkeys(summary["hypothesis"]))
    period = summary["period"].iloc[-1]
    table = Table(title=f"{period}, ledger reported: median [90 %]")
    table.add_column("site")
    table.add_column("unit")
    for name in hypotheses:
        table.add_column(name, justify="right")
    rows = summary[(summary["period"] == period) & (summary["ledger"] == "reported")]
    for (site, unit), mine in rows.groupby(["site", "unit"], sort=False):
        if not (mine["p95"] > 0.0).any():
            continue
        by_name = mine.set_index("hypothesis")
        table.add_row(
            str(site), str(unit),
            *(
                f"{by_name.loc[n, 'p50']:,.0f} [{by_name.loc[n, 'p05']:,.0f} - "
                f"{by_name.loc[n, 'p95']:,.0f}]"
                for n in hypotheses
            ),
        )
    return table
