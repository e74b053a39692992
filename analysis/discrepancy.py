"""What the mechanism cannot reproduce: its size from backcasts, and walks that carry it forward.

A model that was fitted to a month goes wrong after it, by more the longer. The logarithm of the
factor by which it does is taken for a random walk: at zero in the last reported month, then with a
step a month. The sites of a resource share one walk; each site has another for itself. How far the
walks go is learnt from what was reported after a backcast's last month, and what was not reported
yet at a month teaches nothing then.

Residuals and predictions are compared on the scale on which figures are fitted, and to first
order: the logarithm of a total moves by the mean of the walk over its months.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.frames import require
from analysis.observations import ALL
from sim.errors import AiaasError, DataError
from sim.timeline import months_of
from sim.units import RESOURCES, FloatArray

HALF_YEAR = 6  # months; sizes are standard deviations of a walk after so many
SCALE = 0.25  # of the half-Cauchy prior of each size, on the logarithm; assumed
LEAST = 0.005  # least size considered; assumed: a twentieth of the noise of a reported figure
# Greatest size considered; assumed: the first year's greatest change of a total between half-years
# is six-fold (CPU, log 1.8; storage began at 0), and a miss is not typically larger than that. An
# end there must be: sizes that are half-Cauchy give exp(walk) no mean.
MOST = 2.0
POINTS = 400  # of the grid of sizes, evenly spaced on the logarithm
OWN = "own"  # the size of the walks that sites have for themselves

FILE = "residuals.csv"
COLUMNS = (
    "fitted_to",
    "hypothesis",
    "period",
    "site",
    "resource",
    "unit",
    "reported",
    "log_residual",
    "variance",
    "share",
    "share_residual",
    "share_variance",
)
_NUMBERS = COLUMNS[6:9]
_SHARES = COLUMNS[9:]


@dataclass(frozen=True, eq=False)
class Sizes:
    """What is known of the sizes of the walks: probabilities on a grid.

    A size is the standard deviation of a walk's logarithm after half a year.

    Args:
        grid: Sizes considered, shape (points,), rising, above 0.
        weights: Their probabilities, shape (points,), for each resource and for `OWN`.
    """

    grid: FloatArray
    weights: Mapping[str, FloatArray]

    def draw(self, resource: str, count: int, random: np.random.Generator) -> FloatArray:
        """Draw sizes of a resource's shared walk, or of sites' walks for `OWN`; shape (count,)."""
        heaped = np.cumsum(self.weights[resource])
        place = np.searchsorted(heaped, random.random(count) * heaped[-1], side="right")
        return np.asarray(self.grid[np.minimum(place, len(self.grid) - 1)])

    def quantile(self, resource: str, share: float) -> float:
        """Return the size below which lies a share (0 to 1) of the probability."""
        heaped = np.cumsum(self.weights[resource])
        place = int(np.searchsorted(heaped, share * heaped[-1]))
        return float(self.grid[min(place, len(self.grid) - 1)])

    def summary(self) -> pd.DataFrame:
        """Return resource (or `OWN`), p05, p50 and p95 of each size."""
        shares = {"p05": 0.05, "p50": 0.5, "p95": 0.95}
        rows = [(name, *(self.quantile(name, q) for q in shares.values())) for name in self.weights]
        return pd.DataFrame(rows, columns=["resource", *shares])


def estimate(residuals: pd.DataFrame, known_to: int, weights: Mapping[str, float]) -> Sizes:
    """Learn the sizes from backcasts whose figures were reported by a month.

    The prior of each size is half-Cauchy. A backcast's residual is the mean of its walk over the
    period, which began at its last month, plus what the prediction itself was unsure of; backcasts
    of one resource share the steps of the months they have in common. The size of the sites' own
    walks comes from how the logarithm of a site's part in the total was missed. Posteriors of the
    readings are mixed by their prior weights; a reading without residuals keeps the prior.

    Args:
        residuals: With `COLUMNS`, as `load_residuals` returns them.
        known_to: Month; figures of periods that end later are not looked at.
        weights: Prior weight of each reading; at least one above 0.

    Source: half-Cauchy: A. Gelman, Bayesian Analysis 1 (2006) 515.
    """
    ends = np.array([months_of(p)[-1] for p in residuals["period"]], dtype=np.int64)
    told = residuals[ends <= known_to]
    totals = told[told["site"] == ALL]
    shares = told[told["share_residual"].notna()]
    grid = np.geomspace(LEAST, MOST, POINTS)
    found = {r: _mixed(grid, totals[totals["resource"] == r], weights, _total) for r in RESOURCES}
    return Sizes(grid, {**found, OWN: _mixed(grid, shares, weights, _share)})


def walks(
    sizes: Sizes, sites: Sequence[str], months: int, count: int, random: np.random.Generator
) -> FloatArray:
    """Draw factors on monthly quantities: the shared walk times the one of the site.

    Args:
        sizes: From `estimate`.
        sites: Names of the sites; the walk of a single one is the shared one.
        months: How many after the last reported one.
        count: How many draws; each has sizes of its own.
        random: Where numbers are drawn from.

    Returns:
        Shape (count, months, sites, resources) with the resources in the order of `RESOURCES`;
        above 0, median 1 in each month.
    """
    steps = random.standard_normal((count, months, 1 + len(sites), len(RESOURCES)))
    shared = np.stack([sizes.draw(r, count, random) for r in RESOURCES], axis=1)
    steps[:, :, 0] *= shared[:, None, :]
    own = sizes.draw(OWN, count, random) if len(sites) > 1 else np.zeros(count)
    steps[:, :, 1:] *= own[:, None, None, None]
    level = np.cumsum(steps, axis=1) / np.sqrt(HALF_YEAR)
    return np.asarray(np.exp(level[:, :, :1] + level[:, :, 1:]))


def no_residuals() -> pd.DataFrame:
    """Return a table of residuals without a row."""
    numbers = dict.fromkeys((*_NUMBERS, *_SHARES), float)
    return pd.DataFrame({name: pd.Series(dtype=numbers.get(name, object)) for name in COLUMNS})


def load_residuals(folder: Path) -> pd.DataFrame:
    """Read the residuals that lie with a federation.

    Args:
        folder: Of the federation; without a file `FILE` in it nothing is known but the prior.

    Returns:
        `COLUMNS`: fitted_to (Mi), hypothesis, period (Mi-Mj after it), site (or "all"), resource,
        unit, reported (in unit, above 0), log_residual and variance of the logarithm of the figure;
        share (0 to 1) of the site in the total, and share_residual and share_variance of the
        logarithm of the share: blank for totals and where the total counts another ledger.

    Raises:
        DataError: When the file is no such table.
    """
    path = folder / FILE
    if not path.is_file():
        return no_residuals()
    try:
        frame = pd.read_csv(path, keep_default_na=False, na_values=[""])
    except (OSError, UnicodeDecodeError, ValueError) as error:
        what = str(error).splitlines()[0]
        raise DataError("cannot be read", str(path), "a CSV file of residuals", what) from None
    require(frame, COLUMNS, str(path))
    unknown = [str(name) for name in frame.columns if name not in COLUMNS]
    if unknown:
        expected = "columns " + ", ".join(COLUMNS)
        raise DataError("unknown column", str(path), expected, unknown[0], COLUMNS)
    if not len(frame):
        return no_residuals()
    _check(frame, path)
    return frame[list(COLUMNS)].astype(dict.fromkeys((*_NUMBERS, *_SHARES), float))


def _check(frame: pd.DataFrame, path: Path) -> None:
    """Refuse cells that are not what their column says."""
    for name in (*_NUMBERS, *_SHARES):
        blank = frame["share_residual"].isna() if name in _SHARES else False
        numbers = pd.to_numeric(frame[name], errors="coerce")
        good = np.isfinite(numbers) | (blank & frame[name].isna())
        if name not in ("log_residual", "share_residual"):
            good &= ~(numbers < 0.0)
        _refuse(frame, path, name, good, "a number, not below 0 but for residuals")
    _refuse(frame, path, "variance", frame["variance"] > 0.0, "above 0")
    _refuse(frame, path, "resource", frame["resource"].isin(RESOURCES), ", ".join(RESOURCES))
    after = [_is_after(p, m) for p, m in zip(frame["period"], frame["fitted_to"], strict=True)]
    _refuse(frame, path, "period", pd.Series(after, frame.index), "Mi-Mj after fitted_to")


def _refuse(frame: pd.DataFrame, path: Path, column: str, good: pd.Series, expected: str) -> None:
    if not good.all():
        row = int((~good).to_numpy().argmax())
        where = f"{path}, line {row + 2}, column {column}"
        raise DataError(f"malformed {column}", where, expected, frame[column].iloc[row])


def _is_after(period: object, fitted_to: object) -> bool:
    try:
        return months_of(str(period))[0] > _origin(str(fitted_to)) >= 1
    except (AiaasError, ValueError):
        return False


def _origin(fitted_to: str) -> int:
    """Return the month of a label such as M12."""
    return int(fitted_to.removeprefix("M"))


Evidence = tuple[FloatArray, FloatArray, FloatArray]


def _mixed(
    grid: FloatArray,
    rows: pd.DataFrame,
    weights: Mapping[str, float],
    evidence: Callable[[pd.DataFrame], Evidence],
) -> FloatArray:
    """Mix the posteriors of the readings by their prior weights, shape (points,)."""
    found: FloatArray = np.zeros(len(grid))
    for name, weight in weights.items():
        found += weight * posterior(grid, *evidence(rows[rows["hypothesis"] == name]))
    return np.asarray(found / found.sum())


def posterior(
    grid: FloatArray, residual: FloatArray, variance: FloatArray, shape: FloatArray
) -> FloatArray:
    """Return the probabilities of sizes, given residuals that are normal around zero.

    Args:
        grid: Sizes, shape (points,), evenly spaced on the logarithm.
        residual: Residuals, shape (n,); may be none.
        variance: Of each, apart from the walk, shape (n,); independent.
        shape: Covariance of what a walk of size 1 adds, shape (n, n).

    Returns:
        Shape (points,), sums to 1; half-Cauchy prior with `SCALE` times the likelihood.
    """
    log_prior = np.log(grid) - np.log1p((grid / SCALE) ** 2)  # the spacing of the grid included
    if not len(residual):
        log_likelihood = np.zeros(len(grid))
    else:
        covariance = np.diag(variance) + grid[:, None, None] ** 2 * shape
        fit = np.linalg.solve(covariance, residual[:, None])[..., 0] @ residual
        log_likelihood = -0.5 * (fit + np.linalg.slogdet(covariance)[1])
    total = log_prior + log_likelihood
    found = np.exp(total - total.max())
    return np.asarray(found / found.sum())


def loads(fitted_to: Sequence[str], periods: Sequence[str]) -> FloatArray:
    """Return how much of each monthly step of a walk enters the mean over a period.

    Args:
        fitted_to: Month in which the walk of each residual begins, such as M12.
        periods: Period of each.

    Returns:
        Shape (residuals, months from M1 on): share of the period's months that come after the step;
        0 to 1.

    >>> loads(["M2"], ["M3-M4"])
    array([[0. , 0. , 1. , 0.5]])
    """
    last = max((months_of(p)[-1] for p in periods), default=0)
    found = np.zeros((len(periods), last))
    for row, (origin, period) in enumerate(zip(fitted_to, periods, strict=True)):
        months = np.array(months_of(period))
        for step in range(_origin(origin) + 1, last + 1):
            found[row, step - 1] = (months >= step).mean()
    return found


def _total(rows: pd.DataFrame) -> Evidence:
    """Return residuals of totals, their variances and the covariance of a walk of size 1."""
    load = loads(list(rows["fitted_to"]), list(rows["period"]))
    shape = load @ load.T / HALF_YEAR
    return rows["log_residual"].to_numpy(float), rows["variance"].to_numpy(float), shape


def _share(rows: pd.DataFrame) -> Evidence:
    """Return the same of the sites' shares.

    The logarithm of a share moves by the site's own walk less the mean of all sites' own walks,
    weighted by their shares; sites without a figure count as one.
    """
    load = loads(list(rows["fitted_to"]), list(rows["period"]))
    shape = (load @ load.T) * (contrasts(rows) @ contrasts(rows).T) / HALF_YEAR
    return rows["share_residual"].to_numpy(float), rows["share_variance"].to_numpy(float), shape


def contrasts(rows: pd.DataFrame) -> FloatArray:
    """Return by how much each site's own walk moves the logarithm of a share.

    Args:
        rows: fitted_to, period, resource, site and share of each figure; of one reading.

    Returns:
        Shape (rows, walks): a column for each site and resource, and one for each resource's sites
        without a figure.
    """
    walks_of = [(r, s) for r, s in zip(rows["resource"], rows["site"], strict=True)]
    labels = list(dict.fromkeys([*walks_of, *((r, "") for r, _ in walks_of)]))
    found = np.zeros((len(rows), len(labels)))
    place = {label: i for i, label in enumerate(labels)}
    frame = rows.reset_index(drop=True)
    for (_, _, resource), mine in frame.groupby(["fitted_to", "period", "resource"], sort=False):
        at = mine.index.to_numpy()
        for site, share in zip(mine["site"], mine["share"], strict=True):
            found[at, place[resource, site]] -= share
        found[at, place[resource, ""]] -= max(1.0 - float(mine["share"].sum()), 0.0)
        for row, site in zip(at, mine["site"], strict=True):
            found[row, place[resource, site]] += 1.0
    return found
