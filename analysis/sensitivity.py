"""Which parameters the quantities of the last year hang on, and whether the figures inform them.

Both tables ask the emulator, which has a quantity's expected logarithm as a function of z (the
standard normal scale of the parameters, see `analysis.calibration.priors`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats
from scipy.stats import qmc

from analysis.calibration.calibrate import LEFT
from analysis.calibration.identifiability import INFORMED as INFORMED_BELOW
from analysis.calibration.identifiability import PRIOR_SD
from analysis.calibration.priors import Z_LIMIT, quantile_to_z
from analysis.quantities import Quantity
from sim.errors import DataError
from sim.units import UNIT_OF, FloatArray

ENDS = (0.05, 0.95)  # quantiles between which a parameter is moved, and of confidence intervals
RESAMPLES = 200  # bootstrap samples of the indices
INFORMED = "informed by the figures"
ALONE, FOLLOWING = "others at their mean", "others following"

_TORNADO = ["parameter", "site", "resource", "quantity", "unit", "way", "at_mean", "at_p05",
            "at_p95", "sd_ratio", "verdict"]

Transform = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, eq=False)
class Inputs:
    """Independent distributions of the parameters.

    Args:
        says: What they are, for tables and figures.
        z_of: Turns points of the unit cube into z; both of shape (points, parameters).
    """

    says: str
    z_of: Transform


PRIOR = Inputs("prior", quantile_to_z)


def posterior_marginals(draws_z: FloatArray) -> Inputs:
    """Return the distribution of each parameter in posterior draws, one by one.

    Sobol indices are defined for independent inputs: what the draws say of how parameters go
    together is ignored. Combinations that the figures rule out are then among the inputs, so that
    quantities vary more than in the posterior itself, and the indices say what drives that.

    Args:
        draws_z: Posterior draws, shape (draws, parameters).
    """
    ordered = np.sort(draws_z, axis=0)
    grid = np.linspace(0.0, 1.0, len(ordered))

    def z_of(u: FloatArray) -> FloatArray:
        columns = [np.interp(u[:, j], grid, ordered[:, j]) for j in range(u.shape[1])]
        return np.column_stack(columns)

    return Inputs("posterior marginals, dependence ignored", z_of)


def sobol(
    predict: Transform,
    names: Sequence[str],
    wanted: Sequence[Quantity],
    inputs: Inputs,
    power: int,
    seed: int,
) -> pd.DataFrame:
    """Return Sobol indices of the logged quantities: shares of the variance of the emulator.

    A first-order index is the share that a parameter explains on its own, a total index what it
    explains with all its interactions. The spread between replicates is not in them, nor what the
    emulator leaves over. Intervals are of a bootstrap over the points, as if these were random;
    they are a scrambled Sobol sequence, so the intervals are rather too wide. A quantity that never
    changes has indices of zero.

    Args:
        predict: From z, shape (points, parameters), to logged quantities, shape (points, wanted).
        names: The parameters.
        wanted: The quantities.
        inputs: How the parameters are spread.
        power: 2**power base points; (parameters + 2) times as many evaluations.
        seed: Seed of points and bootstrap.

    Returns:
        inputs, parameter, site, resource, quantity, first, first_p05, first_p95, total, total_p05,
        total_p95; indices are shares (their estimates may be a little below 0 or above 1).

    Raises:
        DataError: When the emulator gives anything but finite numbers, one for each quantity.

    Source: A. Saltelli et al., Computer Physics Communications 181 (2010) 259 (estimators as in
        `scipy.stats.sobol_indices`).
    """
    found, low, high = _with_bounds(predict, len(names), len(wanted), inputs, power, seed)
    rows = []
    for j, name in enumerate(names):
        for k, q in enumerate(wanted):
            first, total = ([x[i, k, j] for x in (found, low, high)] for i in (0, 1))
            rows.append((inputs.says, name, q.site, q.resource, q.name, *first, *total))
    columns = ["first", "first_p05", "first_p95", "total", "total_p05", "total_p95"]
    keys = ["inputs", "parameter", "site", "resource", "quantity"]
    return pd.DataFrame(rows, columns=[*keys, *columns])


def _with_bounds(
    predict: Transform, size: int, outputs: int, inputs: Inputs, power: int, seed: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return indices and the bounds of their intervals, as `_indices` shapes them."""
    u = qmc.Sobol(2 * size, scramble=True, rng=seed).random_base2(power)
    a, b = inputs.z_of(u[:, :size]), inputs.z_of(u[:, size:])
    at_a, at_b = (_checked(predict, z, outputs) for z in (a, b))
    mixed = []
    for j in range(size):
        z = a.copy()
        z[:, j] = b[:, j]
        mixed.append(_checked(predict, z, outputs))
    at_ab = np.stack(mixed)
    random = np.random.Generator(np.random.Philox(seed))
    picks = [random.integers(len(u), size=len(u)) for _ in range(RESAMPLES)]
    spread = [_indices(at_a[:, i], at_b[:, i], at_ab[..., i]) for i in picks]
    low, high = np.quantile(spread, ENDS, axis=0)
    return _indices(at_a, at_b, at_ab), low, high


def _checked(predict: Transform, z: FloatArray, outputs: int) -> FloatArray:
    """Return the emulator's outputs, shape (outputs, points)."""
    found = predict(z).T
    if found.shape != (outputs, len(z)) or not np.isfinite(found).all():
        raise DataError(
            "an emulator that does not fit", "sensitivity", f"{outputs} finite outputs a point"
        )
    return found


def _indices(at_a: FloatArray, at_b: FloatArray, at_ab: FloatArray) -> FloatArray:
    """Return first-order and total indices, shape (2, outputs, parameters)."""
    runs = {"f_A": at_a, "f_B": at_b, "f_AB": at_ab}
    found = stats.sobol_indices(func=runs, n=at_a.shape[1])
    shape = (len(at_a), len(at_ab))
    return np.stack([found.first_order.reshape(shape), found.total_order.reshape(shape)])


def tornado(
    predict: Transform,
    names: Sequence[str],
    wanted: Sequence[Quantity],
    draws_z: FloatArray,
    back: Transform,
) -> pd.DataFrame:
    """Move each parameter from its posterior 5 % to its 95 % point and see what quantities do.

    Two ways: the others stay at their posterior mean, which asks for combinations that the figures
    may rule out; or they follow by the posterior's linear dependence (their mean given this
    parameter, cut off at `Z_LIMIT`), which is what learning the parameter would change. Quantities
    are those at the emulated expectation of the logarithm: medians, not means, between replicates.
    A correlation of draws is known to about 1/sqrt(draws) and is also that of the emulator's own
    errors: small moves of a parameter that cannot act on a quantity are such noise.

    Args:
        predict: From z, shape (points, parameters), to emulated quantities, shape (points, wanted).
        names: The parameters.
        wanted: The quantities.
        draws_z: Posterior draws, shape (draws, parameters); NaN where a draw, being of another
            growth law, has not the parameter: it stands at its prior median for the emulator, and
            the parameter is judged by the draws that have it.
        back: From the emulated scale to the quantity's unit, shape kept.

    Returns:
        A row for each parameter, quantity and way: parameter, site, resource, quantity, unit, way,
        at_mean, at_p05 and at_p95 (the quantity at the posterior mean and with the parameter at its
        ends, in `unit`), change_p05 and change_p95 (from at_mean), percent_p05 and percent_p95 (of
        at_mean), swing (between both ends, 0 or more), sd_ratio (posterior over prior sd), verdict.
    """
    ratios = np.nanstd(draws_z, axis=0, ddof=1) / PRIOR_SD
    draws_z = np.nan_to_num(draws_z)
    mean = draws_z.mean(axis=0)
    covariance = np.atleast_2d(np.cov(draws_z.T))
    ends = np.quantile(draws_z, ENDS, axis=0)
    at_mean = back(predict(mean[None]))[0]
    rows = []
    for j, (name, ratio) in enumerate(zip(names, ratios.tolist(), strict=True)):
        verdict = INFORMED if ratio < INFORMED_BELOW else LEFT
        for way in (ALONE, FOLLOWING):
            z = _moved(mean, covariance, j, ends[:, j], way)
            low, high = back(predict(z))
            for q, *values in zip(wanted, at_mean, low, high, strict=True):
                row = (name, q.site, q.resource, q.name, UNIT_OF[q.resource], way)
                rows.append((*row, *values, ratio, verdict))
    table = pd.DataFrame(rows, columns=_TORNADO)
    for end in ("p05", "p95"):
        table[f"change_{end}"] = table[f"at_{end}"] - table["at_mean"]
        table[f"percent_{end}"] = 100.0 * table[f"change_{end}"] / table["at_mean"]
    table["swing"] = (table["at_p95"] - table["at_p05"]).abs()
    return table


def _moved(
    mean: FloatArray, covariance: FloatArray, j: int, ends: FloatArray, way: str
) -> FloatArray:
    """Return two points, shape (2, parameters), with parameter j at its ends."""
    z = np.tile(mean, (2, 1))
    if way == FOLLOWING and covariance[j, j] > 0.0:
        slope = covariance[:, j] / covariance[j, j]
        z = np.clip(z + np.outer(ends - mean[j], slope), -Z_LIMIT, Z_LIMIT)
    z[:, j] = ends
    return z


def outstanding(table: pd.DataFrame, least: float = 0.03) -> pd.DataFrame:
    """Return the rows of parameters that matter somewhere, those that matter most first.

    Args:
        table: Of `sobol`, for one or several `inputs`.
        least: Total index that a parameter exceeds for at least one quantity.
    """
    most = table.groupby("parameter", sort=False)["total"].max().sort_values(ascending=False)
    place = {name: i for i, name in enumerate(most[most > least].index)}
    kept = table[table["parameter"].isin(place)]
    return kept.sort_values("parameter", key=lambda p: p.map(place), kind="stable")


def leading(table: pd.DataFrame, count: int = 8, site: str = "all") -> pd.DataFrame:
    """Return the rows of the parameters that move each resource of a site most.

    Args:
        table: Of `tornado`.
        count: Parameters for each resource, those with the largest swing when the others stay.
        site: Site, or `all`.
    """
    parts = []
    for _, mine in table[table["site"] == site].groupby("resource", sort=False):
        swing = mine[mine["way"] == ALONE].set_index("parameter")["swing"]
        for name in swing.sort_values(ascending=False).index[:count]:
            parts.append(mine[mine["parameter"] == name])
    return pd.concat(parts, ignore_index=True) if parts else table.iloc[:0]
