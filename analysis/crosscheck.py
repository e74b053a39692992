"""A second opinion on the shipped posterior: an ensemble smoother on the simulator itself.

ES-MDA needs neither emulator nor sampler. An ensemble of the prior is run and moved towards the
figures several times, each time as if their noise were so many times larger, by linear regression
of parameters on figures. What both ways agree on does not come from the emulator.

Source: A. Emerick and A. Reynolds, Computers & Geosciences 55 (2013) 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve, cholesky

from analysis.calibration.checks import replicate_covariance
from analysis.calibration.priors import Z_LIMIT, quantile_to_z
from analysis.calibration.waves import made_from
from analysis.chunks import run_in_chunks
from analysis.federations import Case
from analysis.fingerprint import digest
from analysis.hypotheses import Target, logged, targets
from analysis.outputs import TargetValues, accounted
from analysis.quantities import KeepFiguresAndYear, quantities
from analysis.worlds import specs_of
from sim.policies.base import Policies
from sim.units import UNIT_OF, FloatArray

FAR = 1.0  # difference of medians, in sd of the shipped posterior, beyond which it is flagged
RATIOS = (0.5, 2.0)  # of standard deviations; flagged outside
ENDS = (0.05, 0.5, 0.95)

Forward = Callable[[FloatArray, int], tuple[FloatArray, FloatArray]]
Keep = TargetValues | KeepFiguresAndYear


@dataclass(frozen=True)
class Study:
    """How much work the cross-check takes, for each branch (a reading and a growth law).

    Args:
        members: Size of the ensemble.
        assimilations: Times the figures are assimilated.
        pairs: Members that are run twice each time, to see how much replicates differ; 0 leaves
            that out, as plain ES-MDA does.
        draws: Draws of the shipped posterior that are played to the horizon.
        least_weight: Growth laws of at least this weight are checked, and the heaviest anyway.
        seed: Seed of everything.
        jobs: Processes.
    """

    members: int = 300
    assimilations: int = 6
    pairs: int = 60
    draws: int = 100
    least_weight: float = 1.0
    seed: int = 0
    jobs: int = -1

    @property
    def runs(self) -> int:
        """Runs of a branch."""
        each = self.members + self.pairs
        return self.assimilations * each + self.members + self.draws


@dataclass(frozen=True, eq=False)
class Found:
    """Both posteriors of a branch.

    Args:
        hypothesis: The reading.
        law: The growth law.
        names: The parameters.
        z: The last ensemble, shape (members, parameters).
        shipped_z: All draws of the shipped posterior, shape (draws, parameters).
        values: Figures and, behind them, quantities of the last year at `z`, in their units.
        shipped_values: The same at some of the shipped draws.
    """

    hypothesis: str
    law: str
    names: tuple[str, ...]
    z: FloatArray
    shipped_z: FloatArray
    values: FloatArray
    shipped_values: FloatArray


def esmda(
    forward: Forward,
    z: FloatArray,
    observed: FloatArray,
    noise: FloatArray,
    assimilations: int,
    random: np.random.Generator,
) -> FloatArray:
    """Move an ensemble of the prior to the posterior.

    The report is one replicate of what its parameters would give, so the likelihood has the
    replicates' covariance S beside the noise R of reporting. Plain ES-MDA on a stochastic simulator
    sees new replicates each time, so that S is averaged out as if there were as many reports: the
    posterior is too narrow. Here the inflated noise is that of both, and as a run brings S with it
    already, (assimilations) R + (assimilations - 1) S is added to figures and covariance; this is
    exact where figures are linear in z and all is Gaussian.

    Args:
        forward: From points, shape (members, parameters), and the number of the assimilation to
            logged figures of a run of each, shape (members, figures), and of a second run of the
            first ones, shape (pairs, figures); without pairs S is left out.
        z: Ensemble of the prior, shape (members, parameters).
        observed: Logged reported figures, shape (figures,).
        noise: Standard deviation of each, shape (figures,), above 0.
        assimilations: How often the figures are assimilated, 1 or more.
        random: Where perturbations are drawn from.

    Returns:
        The last ensemble, cut off at `Z_LIMIT` after each assimilation: what would leave the prior
        stays at its edge. Shape of z.
    """
    for step in range(assimilations):
        first, second = forward(z, step)
        error = assimilations * np.diag(noise**2)
        error += (assimilations - 1) * between_replicates(first, second)
        perturbed = observed + random.standard_normal(first.shape) @ cholesky(error)
        within = np.atleast_2d(np.cov(first.T)) + error
        across = (z - z.mean(axis=0)).T @ (first - first.mean(axis=0)) / (len(z) - 1)
        gain = cho_solve(cho_factor(within), across.T)
        z = np.clip(z + (perturbed - first) @ gain, -Z_LIMIT, Z_LIMIT)
    return z


def between_replicates(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the covariance of figures between runs of the same members; zeros without pairs."""
    pairs = len(second)
    member = np.tile(np.arange(pairs), 2)
    return replicate_covariance(member, np.concatenate([first[:pairs], second]))[0]


def branches(laws: pd.DataFrame, study: Study) -> list[tuple[str, str]]:
    """Return the readings and growth laws to check: the heaviest law, and those heavy enough.

    Args:
        laws: hypothesis, law, weight, as a posterior has them.
        study: How much work.
    """
    most = laws.groupby("hypothesis")["weight"].transform("max")
    chosen = laws[(laws["weight"] == most) | (laws["weight"] >= study.least_weight)]
    return list(zip(chosen["hypothesis"], chosen["law"], strict=True))


def check(
    case: Case,
    policies: Policies,
    draws: pd.DataFrame,
    laws: pd.DataFrame,
    study: Study,
    kept: Path,
    advance: Callable[[int], None],
) -> Iterator[Found]:
    """Smooth each branch and play both posteriors to the horizon.

    Args:
        case: The federation with its figures, readings and priors.
        policies: In force.
        draws: Of the shipped posterior: hypothesis, law, then a column a parameter, in its unit.
        laws: Weights of the growth laws, as for `branches`.
        study: How much work.
        kept: Folder in which finished runs are kept for a next time.
        advance: Called with the number of runs finished since the last call.
    """
    for place, (hypothesis, law) in enumerate(branches(laws, study)):
        names = case.priors.names(law)
        player = _Player(case, policies, law, names, study.jobs, kept, advance)
        figures = tuple(targets(case.observations, case.hypotheses.hypotheses[hypothesis]))
        seed = study.seed + 91_000 + 100 * place
        random = np.random.Generator(np.random.Philox(seed))
        start = quantile_to_z(random.random((study.members, len(names))))
        z = esmda(
            _Forward(player, figures, study.pairs, seed),
            start,
            np.array([float(logged(t.value, t.value)) for t in figures]),
            np.array([case.hypotheses.noise_of(t) for t in figures]),
            study.assimilations,
            random,
        )
        mine = draws[(draws["hypothesis"] == hypothesis) & (draws["law"] == law)]
        columns = [case.priors.priors[n].z(mine[n].to_numpy()) for n in names]
        shipped = np.column_stack(columns)
        last = KeepFiguresAndYear(
            TargetValues(figures, accounted(case.federation)), quantities(case.federation)
        )
        months = case.federation.calendar.months
        values = player.play(z, last, months, seed + 50)
        yet = player.play(shipped[: study.draws], last, months, seed + 51)
        yield Found(hypothesis, law, names, z, shipped, values, yet)


@dataclass(frozen=True, eq=False)
class _Player:
    """Runs the simulator of a branch; finished runs are kept."""

    case: Case
    policies: Policies
    law: str
    names: tuple[str, ...]
    jobs: int
    kept: Path
    advance: Callable[[int], None]

    def play(self, z: FloatArray, keep: Keep, months: int, seed: int) -> FloatArray:
        """Run each point once over some months; returns shape (points, what is kept of a run)."""
        case = self.case
        calendar = replace(case.federation.calendar, months=months)
        shorter = replace(case, federation=replace(case.federation, calendar=calendar))
        draws = pd.DataFrame({"law": self.law, **case.priors.values(self.names, z)})
        key = digest(
            made_from(case, self.policies),
            draws.to_csv(float_format="%.9g"),
            _says(keep),
            months,
            seed,
        )
        rows = run_in_chunks(
            lambda: specs_of(shorter, self.policies, draws, 1, seed),
            len(draws),
            keep,
            self.kept / f"crosscheck-{key}",
            self.jobs,
            self.advance,
        )
        return np.array(rows)


def _says(keep: Keep) -> tuple[object, ...]:
    """Return what is kept of a run, for the name of a folder."""
    if isinstance(keep, KeepFiguresAndYear):
        return keep.figures.targets, keep.wanted
    return keep.targets


@dataclass(frozen=True, eq=False)
class _Forward:
    """What `esmda` asks of the simulator: the reported months, some members twice."""

    player: _Player
    figures: tuple[Target, ...]
    pairs: int
    seed: int

    def __call__(self, z: FloatArray, step: int) -> tuple[FloatArray, FloatArray]:
        """Return logged figures of all members and of second runs."""
        federation = self.player.case.federation
        keep = TargetValues(self.figures, accounted(federation))
        points = np.concatenate([z, z[: self.pairs]])
        values = self.player.play(points, keep, federation.reported_months, self.seed + step)
        found = np.asarray(logged(values, np.array([t.value for t in self.figures])))  # type: ignore[arg-type]
        return found[: len(z)], found[len(z) :]


def compare(case: Case, found: Found) -> pd.DataFrame:
    """Lay both posteriors of a branch side by side.

    Returns:
        hypothesis, law, kind (parameter, quantity or figure), name, unit, reported (figures only),
        quantiles in the unit (esmda_p05, esmda_p50, esmda_p95, shipped_p05 ...) and on the scale of
        comparison (esmda_z05 ...), shipped_sd, esmda_sd, difference (of medians, in sd of the
        shipped posterior), sd_ratio (ES-MDA over shipped), flagged. The scale of comparison is z
        for parameters and that of `logged` for the rest (quantities relative to their mean), where
        each point was run once, so that replicates' differences are in it. What never changes has
        no row.
    """
    rows = []
    for i, name in enumerate(found.names):
        prior = case.priors.priors[name]
        pair = found.z[:, i], found.shipped_z[:, i]
        shown = tuple(np.asarray(prior.value(z)) for z in pair)
        rows.append(_row("parameter", name, prior.unit, np.nan, shown, pair))
    figures = targets(case.observations, case.hypotheses.hypotheses[found.hypothesis])
    what: list[tuple[str, str, str, float]] = []
    what += [("figure", t.id, t.unit, t.value) for t in figures]
    what += [
        ("quantity", q.name, UNIT_OF[q.resource], np.nan) for q in quantities(case.federation)
    ]
    for i, (kind, name, unit, reported) in enumerate(what):
        mine, yet = found.values[:, i], found.shipped_values[:, i]
        if yet.std() > 0.0 and mine.std() > 0.0:
            about = float(yet.mean()) if np.isnan(reported) else reported
            pair = logged(mine, about), logged(yet, about)
            rows.append(_row(kind, name, unit, reported, (mine, yet), pair))
    table = pd.DataFrame(rows)
    table.insert(0, "hypothesis", found.hypothesis)
    table.insert(1, "law", found.law)
    return table


def _row(
    kind: str, name: str, unit: str, reported: float, shown: tuple[FloatArray, ...],
    scaled: tuple[FloatArray, ...],
) -> dict[str, object]:
    """Compare ES-MDA (first of each pair) with the shipped posterior (second)."""
    sd = float(scaled[1].std())
    difference = float(np.median(scaled[0]) - np.median(scaled[1])) / sd
    ratio = float(scaled[0].std()) / sd
    quantiles = {}
    for way, values, scale in zip(("esmda", "shipped"), shown, scaled, strict=True):
        for q in ENDS:
            quantiles[f"{way}_p{100 * q:02.0f}"] = float(np.quantile(values, q))
            quantiles[f"{way}_z{100 * q:02.0f}"] = float(np.quantile(scale, q))
    return {
        "kind": kind, "name": name, "unit": unit, "reported": reported, **quantiles,
        "shipped_sd": sd, "esmda_sd": ratio * sd, "difference": difference, "sd_ratio": ratio,
        "flagged": abs(difference) > FAR or not RATIOS[0] <= ratio <= RATIOS[1],
    }  # fmt: skip
