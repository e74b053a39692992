"""What turns runs into a projection: what figures say of a run, and what the model gets wrong.

A run at a posterior draw is a fresh replicate: it has its own large data sets and its own users.
The reported half-years say something of those, too. Each run is therefore moved by the part of its
residuals that goes with the difference between its figures and the reported ones (Matheron's
rule); how residuals go together is measured on replicates of the same draw. Then it is multiplied
by a walk of the model's discrepancy (`analysis.discrepancy`). Both are factors on the projected
months of a site's resource, the same in each ledger.

Source: Matheron's rule: J. Wilson et al., JMLR 22 (2021) 1, section 2.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis.calibration.checks import replicate_covariance
from analysis.discrepancy import Sizes, estimate, load_residuals, walks
from analysis.federations import Case
from analysis.hypotheses import logged, targets
from analysis.outputs import accounted, subset
from analysis.projection import Ensemble, as_reported, members, periods_of
from sim.units import RESOURCES, FloatArray, IntArray

OFFSET = 0.02  # relative to the median: keeps logarithms of what may be zero finite; assumed
FEWEST_DEGREES = 2  # degrees of freedom for each figure and quantity that a covariance needs
SOURCES = ("parameters", "replicates", "hypotheses", "discrepancy")


def scaled(ensemble: Ensemble, case: Case, factors: FloatArray) -> Ensemble:
    """Return the runs with their projected months multiplied.

    Args:
        ensemble: The runs.
        case: The federation.
        factors: Shape (runs, projected months, sites, resources), above 0.
    """
    first = case.federation.reported_months
    kept = []
    for run, factor in zip(ensemble.kept, factors, strict=True):
        monthly = run.monthly.copy()
        monthly[first : first + factor.shape[0]] *= factor[..., None]
        kept.append(replace(run, monthly=monthly))
    return replace(ensemble, kept=kept)


def sizes_of(case: Case) -> Sizes:
    """Return what the federation's own backcasts say of the size of the model's discrepancy.

    Raises:
        DataError: When its table of residuals cannot be used.
    """
    residuals = load_residuals(case.folder)
    return estimate(residuals, case.federation.reported_months, case.hypotheses.weights())


def diverged(ensemble: Ensemble, case: Case, sizes: Sizes, seed: int) -> Ensemble:
    """Return the runs with the model's discrepancy, a walk for each run."""
    random = np.random.Generator(np.random.Philox(seed))
    months = case.federation.calendar.months - case.federation.reported_months
    count = len(ensemble.kept)
    return scaled(
        ensemble, case, walks(sizes, list(case.federation.sites), months, count, random)
    )


def conditioned(ensemble: Ensemble, case: Case, seed: int) -> Ensemble:
    """Return the runs moved by what the reported figures say beyond the parameters.

    Without replicates of the same draws (or with too few) nothing can be told, and the runs are
    returned as they are.
    """
    where = [
        (s, r)
        for s in case.federation.sites
        for r in RESOURCES
        if (s, r) in accounted(case.federation)
    ]
    totals = projected_totals(ensemble, case)
    values = np.column_stack(
        [totals[:, list(case.federation.sites).index(s), RESOURCES.index(r)] for s, r in where]
    )
    offset = OFFSET * np.median(values, axis=0)
    moving = (values.std(axis=0) > 0.0) & (offset > 0.0)
    logs = np.log(values[:, moving] + offset[moving])
    reported = np.array([t.value for t in ensemble.figures])
    figures = np.asarray(logged(np.array([k.fitted for k in ensemble.kept]), reported))
    covariance, freedom = replicate_covariance(
        ensemble.point, np.column_stack([figures, logs])
    )
    if freedom < FEWEST_DEGREES * len(covariance):
        return ensemble
    shift = np.zeros_like(values)
    random = np.random.Generator(np.random.Philox(seed))
    for name in dict.fromkeys(ensemble.hypothesis):
        shift[np.ix_(ensemble.of(name), np.flatnonzero(moving))] = _shift(
            ensemble, case, name, figures, covariance, random
        )
    after = np.maximum((values + offset) * np.exp(shift) - offset, 0.0)
    ratio = np.where(values > 0.0, after / np.where(values > 0.0, values, 1.0), 1.0)
    months = case.federation.calendar.months - case.federation.reported_months
    factors = np.ones((len(values), months, len(case.federation.sites), len(RESOURCES)))
    for k, (site, resource) in enumerate(where):
        place = list(case.federation.sites).index(site), RESOURCES.index(resource)
        factors[:, :, place[0], place[1]] = ratio[:, k, None]
    return scaled(ensemble, case, factors)


def _shift(
    ensemble: Ensemble, case: Case, hypothesis: str, figures: FloatArray,
    covariance: FloatArray, random: np.random.Generator,
) -> FloatArray:  # fmt: skip
    """Return by how much logged quantities of a hypothesis' runs move; shape (runs, quantities)."""
    chosen = targets(case.observations, case.hypotheses.hypotheses[hypothesis])
    columns, count = subset(ensemble.figures, chosen), figures.shape[1]
    noise = np.array([case.hypotheses.noise_of(t) for t in chosen])
    told = np.array([float(logged(t.value, t.value)) for t in chosen])
    mine = figures[np.ix_(ensemble.of(hypothesis), columns)]
    seen = mine + noise * random.standard_normal(mine.shape)
    within = covariance[np.ix_(columns, columns)] + np.diag(noise**2)
    across = covariance[count:][:, columns]
    return np.asarray((told - seen) @ np.linalg.solve(within, across.T))


def projected_totals(ensemble: Ensemble, case: Case) -> FloatArray:
    """Return what the accounting would show of each run in the projected time.

    Returns:
        Shape (runs, sites and all of them, resources).
    """
    first = case.federation.reported_months
    runs = range(len(ensemble.kept))
    totals = np.stack(
        [[as_reported(ensemble, case, i, r)[first:].sum(axis=0) for r in RESOURCES] for i in runs]
    ).transpose(0, 2, 1)
    return np.concatenate([totals, totals.sum(axis=1, keepdims=True)], axis=1)


def variance_shares(before: Ensemble, after: Ensemble, case: Case) -> pd.DataFrame:
    """Split the variance of the projected time's logged quantities by where it comes from.

    Args:
        before: Conditioned runs without discrepancy.
        after: The same runs with it.
        case: The federation.

    Returns:
        period, site (or `all`), resource, source (one of `SOURCES`), variance (of the logarithm)
        and share (of their sum). Hypotheses are readings and growth laws: the variance between
        their means, weighted as in the average. Parameters vary between draws, replicates within
        (nested analysis of variance; without replicates their part is counted with the
        parameters).
    """
    sites = list(case.federation.sites)
    runs = next(iter(members(before, case).values()))
    label = periods_of(case.federation)[1][-1][0]
    clean, moved = (projected_totals(e, case)[runs] for e in (before, after))
    point = before.point[runs]
    branch = np.array([before.branch[i] for i in runs])
    rows = []
    for r, resource in enumerate(RESOURCES):
        for s, site in enumerate([*sites, "all"]):
            value = clean[:, s, r]
            if not np.median(value) > 0.0:
                continue
            offset = OFFSET * float(np.median(value))
            logs = np.log(value + offset)
            parts = _nested(logs, point, branch)
            gap = np.log(moved[:, s, r] + offset) - logs
            variances = dict(zip(SOURCES, (*parts, float(gap.var())), strict=True))
            total = sum(variances.values())
            rows += [(label, site, resource, n, v, v / total) for n, v in variances.items()]
    return pd.DataFrame(rows, columns=["period", "site", "resource", "source", "variance", "share"])


def _nested(
    values: FloatArray, point: IntArray, branch: np.ndarray
) -> tuple[float, float, float]:
    """Return the variance between points of a branch, within points, and between branches."""
    frame = pd.DataFrame({"value": values, "point": point, "branch": branch})
    within, _ = replicate_covariance(point, values[:, None])
    by_point = frame.groupby(["branch", "point"])["value"].agg(["mean", "size"])
    each = float(by_point["size"].mean())
    replicates = float(within[0, 0]) if each > 1.0 else 0.0
    groups = by_point["mean"].groupby("branch")
    sizes = groups.size()
    inner = groups.var(ddof=1).fillna(0.0)
    between_points = float((inner * sizes).sum() / sizes.sum())
    centre = float((groups.mean() * sizes).sum() / sizes.sum())
    branches = float((sizes * (groups.mean() - centre) ** 2).sum() / sizes.sum())
    chance = float((inner / sizes * sizes).sum() / sizes.sum())
    return (
        max(between_points - replicates / each, 0.0),
        replicates,
        max(branches - chance, 0.0),
    )
