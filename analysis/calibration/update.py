"""Updating a posterior with figures that came later, without fitting the earlier ones anew.

The emulators that came with the posterior know the earlier figures. Draws of the posterior are
played on to the months of the later ones and teach an emulator of these; how the residuals of all
figures go together is measured on the same runs. Sampling prior times the likelihood of all
figures then gives the new posterior. The later figures lie beyond the month that the model was
fitted to, so what it gets wrong by then (`analysis.discrepancy`) is part of their uncertainty.
Before anything is fitted, each is held against what was predicted for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import norm

from analysis.calibration.calibrate import Calibrated, collect
from analysis.calibration.checks import emulator_table, evidence_table, idle_table, refuse_poor
from analysis.calibration.design import Design
from analysis.calibration.emulator import Emulator, fit_emulator
from analysis.calibration.shipped import Posterior, read_emulators
from analysis.calibration.waves import (
    PAIRED_SHARE,
    Learned,
    Work,
    law_weights,
    made_from,
    sample,
)
from analysis.chunks import run_in_chunks
from analysis.corrections import sizes_of
from analysis.discrepancy import OWN, Sizes, loads
from analysis.federations import Case
from analysis.fingerprint import digest
from analysis.hypotheses import Target, logged, targets
from analysis.outputs import FiguresAndBusyShare, TargetValues, accounted, subset
from analysis.worlds import specs_of
from sim.errors import DataError
from sim.timeline import months_of
from sim.units import RESOURCES, FloatArray

ABSURD = 0.002  # probability on either side below which a figure is refused
FEWEST = 6  # runs for each parameter from which an emulator is taught; assumed
LAW_LEAST = 0.01  # weight of a growth law, in every reading, below which it is not carried on


@dataclass(frozen=True, eq=False)
class Later:
    """What an update needs beside the work.

    Args:
        work: With all figures, the earlier and the later ones.
        before: The case without the later ones.
        posterior: Fitted to the earlier ones.
        accept: Whether figures are taken that the posterior holds for all but impossible.
    """

    work: Work
    before: Case
    posterior: Posterior
    accept: bool


@dataclass(frozen=True, eq=False)
class Played:
    """Runs of a growth law at posterior draws.

    Args:
        z: Points, shape (runs, parameters).
        values: Figures in their units and, behind them, the logged busy share.
        hypothesis: Reading that each point was drawn for.
    """

    z: FloatArray
    values: FloatArray
    hypothesis: np.ndarray


def update(later: Later) -> tuple[Calibrated, pd.DataFrame]:
    """Update a posterior.

    Returns:
        What a calibration returns, and the predictive table (`predictive`).

    Raises:
        DataError: When a later figure is absurd and not accepted, when nothing is new, or when an
            emulator is worse than the figures are.
    """
    work, fresh = later.work, new_figures(later)
    if not fresh:
        raise DataError("no figure that could be fitted", "data", "figures of a later period")
    sizes = sizes_of(later.before)
    played = play(later)
    table = predictive(later, played, fresh, sizes)
    refuse_absurd(table, later.accept)
    known, emulators = read_emulators(later.posterior)
    places = {(f, ledger): i for i, (f, ledger) in enumerate(known.itertuples(index=False))}
    extra = discrepancy(later, sizes)
    learned = {law: learned_from(work, law, runs) for law, runs in played.items()}
    joined = {
        law: join(work.figures, places, emulators[law], runs, fresh, extra)
        for law, runs in learned.items()
    }
    judged = emulator_table(work, joined, learned)
    warnings = refuse_poor(judged, work.settings.tolerated)
    branches = sample(work, joined, work.settings.steps, "branches sampled")
    laws = law_weights(work.case, branches)
    before = later.posterior.idle[later.posterior.idle["hypothesis"] == "prior"]
    idle = idle_table(work, joined, branches, laws, before)
    idle["period"] = idle_period(later)
    evidence = evidence_table(work, joined, branches)
    found = collect(work, joined, branches, evidence, idle, judged)
    origin = {"updated_from": digest(later.posterior.made_from)}
    made = {**found.made_from, **origin}
    return replace(found, made_from=made, warnings=tuple(warnings)), table


def new_figures(later: Later) -> tuple[Target, ...]:
    """Return the figures of any hypothesis that the posterior was not fitted to."""
    old = replace(later.work, case=later.before).figures
    seen = {(t.id, t.ledger) for t in old}
    return tuple(t for t in later.work.figures if (t.id, t.ledger) not in seen)


def idle_period(later: Later) -> str:
    """Return the period of the shipped emulators' busy share, which an update keeps."""
    return str(later.posterior.idle["period"].iloc[0])


def play(later: Later) -> dict[str, Played]:
    """Play draws of the posterior to the last later figure, under each law that has some weight."""
    work, table = later.work, later.posterior.laws
    weights = table.groupby("law")["weight"].max()
    laws = [law for law in work.laws if weights.get(law, 0.0) >= LAW_LEAST]
    least = FEWEST * max(len(work.case.priors.names(law)) for law in laws)
    draws = later.posterior.draws
    each = max(work.settings.runs // len(set(draws["hypothesis"])), 1)
    draws = draws[(draws["draw"] < each) & draws["law"].isin(laws)]
    draws = pd.concat([draws, draws.head(int(PAIRED_SHARE * len(draws)))], ignore_index=True)
    counts = draws["law"].value_counts()
    laws = [law for law in laws if counts.get(law, 0) >= least]
    if not laws:
        raise DataError("too few runs to update from", "calibrate.runs", f"at least {least} a law")
    figures = TargetValues(work.figures, accounted(work.case.federation))
    seed = work.settings.seed + 9000
    months = months_of(idle_period(later))
    key = digest(made_from(work.case, work.policies), seed, figures, months, draws.to_csv())
    with work.progress("posterior draws played on", len(draws)) as advance:
        rows = run_in_chunks(
            lambda: specs_of(work.case, work.policies, draws, 1, seed),
            len(draws), FiguresAndBusyShare(figures, months),
            work.kept / f"update-{key}", work.settings.jobs, advance,
        )  # fmt: skip
    values, priors = np.array(rows), work.case.priors
    found = {}
    for law in laws:
        mine = (draws["law"] == law).to_numpy()
        columns = [
            priors.priors[n].z(draws.loc[mine, n].to_numpy(float)) for n in priors.names(law)
        ]
        readings = draws.loc[mine, "hypothesis"].to_numpy()
        found[law] = Played(np.column_stack(columns), values[mine], readings)
    return found


def learned_from(work: Work, law: str, runs: Played) -> Learned:
    """Return runs at posterior draws as those of a design; some draws were played twice."""
    reported = np.array([t.value for t in work.figures])
    logs = logged(runs.values[:, :-1], reported)
    design = Design(law, work.case.priors.names(law), runs.z)
    return Learned(design, np.column_stack([logs, runs.values[:, -1]]))


def discrepancy(later: Later, sizes: Sizes) -> FloatArray:
    """Return the covariance of logged figures that the model's discrepancy adds.

    Sizes are taken at their medians. Earlier figures have none.

    Returns:
        Shape (figures, figures).
    """
    month = f"M{later.before.federation.reported_months}"
    figures, fresh = later.work.figures, {(t.id, t.ledger) for t in new_figures(later)}
    found = np.zeros((len(figures), len(figures)))
    new = [i for i, t in enumerate(figures) if (t.id, t.ledger) in fresh]
    load = loads([month] * len(new), [figures[i].period for i in new])
    shape = load @ load.T / 6.0
    for a, i in enumerate(new):
        for b, j in enumerate(new):
            one, two = figures[i], figures[j]
            if one.resource != two.resource or one.resource not in RESOURCES:
                continue
            size = sizes.quantile(one.resource, 0.5) ** 2
            if one.site == two.site and one.site != "all":
                size += sizes.quantile(OWN, 0.5) ** 2
            found[i, j] = size * shape[a, b]
    return found


def predictive(
    later: Later, played: Mapping[str, Played], fresh: tuple[Target, ...], sizes: Sizes
) -> pd.DataFrame:
    """Hold later figures against what the posterior predicted for them.

    Returns:
        hypothesis, figure, period, unit, reported, p05, p50, p95 (predicted, with reporting noise
        and discrepancy) and probability (of a value as far out, or farther, on the same side).
    """
    work = later.work
    random = np.random.Generator(np.random.Philox(work.settings.seed + 55))
    places = subset(work.figures, fresh)
    extra = np.sqrt(np.diag(discrepancy(later, sizes)))[places]
    rows = []
    for name, hypothesis in work.case.hypotheses.hypotheses.items():
        fitted = {(t.id, t.ledger) for t in targets(work.case.observations, hypothesis)}
        values = np.concatenate([p.values[p.hypothesis == name] for p in played.values()])
        for k, (place, target) in enumerate(zip(places, fresh, strict=True)):
            if (target.id, target.ledger) not in fitted or not len(values):
                continue
            spread = float(np.hypot(work.case.hypotheses.noise_of(target), extra[k]))
            logs = np.asarray(logged(values[:, place], target.value))
            logs = np.repeat(logs, 10)
            logs = logs + spread * random.standard_normal(len(logs))
            told = float(logged(target.value, target.value))
            tail = _tail(logs, told)
            low, middle, high = np.quantile(np.exp(logs) - 0.02 * target.value, [0.05, 0.5, 0.95])
            rows.append((name, target.id, target.period, target.unit, target.value,
                         max(low, 0.0), max(middle, 0.0), max(high, 0.0), tail))  # fmt: skip
    columns = ["hypothesis", "figure", "period", "unit", "reported", "p05", "p50", "p95",
               "probability"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _tail(logs: FloatArray, told: float) -> float:
    """Return the smaller tail beyond a value; beyond the draws, that of a normal."""
    share = float((logs < told).mean())
    if 10.0 / len(logs) < share < 1.0 - 10.0 / len(logs):
        return min(share, 1.0 - share)
    return float(norm.sf(abs(told - logs.mean()) / logs.std()))


def refuse_absurd(table: pd.DataFrame, accept: bool) -> None:
    """Refuse figures that the posterior holds for all but impossible under every reading.

    Raises:
        DataError: For the most absurd one, unless they are accepted.
    """
    best = table.groupby("figure", sort=False)["probability"].max()
    if accept or best.min() >= ABSURD:
        return
    worst = best.idxmin()
    rows = table[table["figure"] == worst]
    row = rows.loc[rows["probability"].idxmax()]
    raise DataError(
        "a figure that nothing predicted",
        f"data, figure {worst} ({row['period']})",
        f"about {row['p05']:,.0f} to {row['p95']:,.0f} {row['unit']} (probability of a value so "
        f"far out: {row['probability']:.1g}); check its unit and period, or give surprises=accept",
        f"{row['reported']:,.0f}",
    )


def join(
    figures: tuple[Target, ...],
    places: Mapping[tuple[str, str], int],
    shipped: Emulator,
    runs: Learned,
    fresh: tuple[Target, ...],
    extra: FloatArray,
) -> Emulator:
    """Return one emulator of earlier and later figures, and of the busy share behind them.

    Args:
        figures: All figures in the order of the outputs.
        places: Positions of the earlier ones in the shipped emulator; the busy share is its last.
        shipped: The emulator that came with the posterior.
        runs: Runs at posterior draws.
        fresh: The later figures.
        extra: Covariance that the discrepancy adds, shape (figures, figures).
    """
    outputs = runs.outputs
    new = subset(figures, fresh)
    taught = fit_emulator(runs.design.z, outputs[:, new])
    old = [i for i in range(outputs.shape[1]) if i not in new]
    source = [places[figures[i].id, figures[i].ledger] for i in old[:-1]] + [len(places)]
    parts = {}
    for name in ("coefficients", "spread", "spread_range", "link"):
        earlier, now = getattr(shipped, name), getattr(taught, name)
        whole = np.empty((len(earlier), outputs.shape[1]))
        whole[:, old], whole[:, new] = earlier[:, source], now
        parts[name] = whole
    sd, rms, r2 = (np.empty(outputs.shape[1]) for _ in range(3))
    for whole, name in ((rms, "held_back_rms"), (r2, "held_back_r2")):
        whole[old], whole[new] = getattr(shipped, name)[source], getattr(taught, name)
    sd[old] = np.sqrt(np.diag(shipped.residual_covariance)[source])
    sd[new] = np.sqrt(np.diag(taught.residual_covariance))
    emulator = Emulator(**parts, residual_covariance=np.eye(len(sd)), held_back_rms=rms,
                        held_back_r2=r2)  # fmt: skip
    residual = (outputs - emulator.predict(runs.design.z)) / emulator.stretch(runs.design.z)
    correlation = np.corrcoef(residual.T)
    covariance = correlation * np.outer(sd, sd)
    covariance[: len(extra), : len(extra)] += extra
    return replace(emulator, residual_covariance=covariance)
