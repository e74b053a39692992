"""How sure a projection is: where its variance comes from, what moves it, and both in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.calibration.emulator import fit_emulator
from analysis.calibration.identifiability import INFORMED
from analysis.calibration.shipped import Posterior
from analysis.corrections import OFFSET, projected_totals, variance_shares
from analysis.federations import Case
from analysis.projection import Ensemble
from analysis.quantities import Quantity, quantities
from analysis.sensitivity import ALONE, posterior_marginals, sobol, tornado
from analysis.wording import percent, period_word, resource_word
from sim.units import RESOURCES, FloatArray

SOBOL_POWER = 10  # 2**power base points
DRAWS_PER_PARAMETER = 4  # fewest posterior draws from which an emulator is taught
EXPLAINED = 0.2  # left-out variance below which movers of a quantity are not shown; assumed
BEST = 5  # parameters and movers that are named
LEAST_SWING = 0.05  # of a quantity, below which a parameter's part in it is not named
TAUGHT = 0.15  # of the prior's idle interval by which it must have shrunk to count as taught


@dataclass(frozen=True)
class Words:
    """Three lists of sentences.

    Args:
        known: What the figures taught.
        prior: What rests on assumptions.
        changes: What would change the answer.
    """

    known: tuple[str, ...]
    prior: tuple[str, ...]
    changes: tuple[str, ...]

    def sections(self) -> Mapping[str, Sequence[str]]:
        """Return the lists by their headings."""
        return {
            "What is known": self.known,
            "What is prior": self.prior,
            "What would change the answer": self.changes,
        }


@dataclass(frozen=True, eq=False)
class Certainty:
    """How sure a projection is.

    Args:
        shares: From `corrections.variance_shares`.
        tornado, sobol: From `sensitivity`, of the totals of the projected time; empty where there
            are too few draws, or for quantities that the parameters hardly explain.
        explained: quantity, r2: share of the left-out variance of the draws' means that an emulator
            taught by them explains.
        words: In words.
    """

    shares: pd.DataFrame
    tornado: pd.DataFrame
    sobol: pd.DataFrame
    explained: pd.DataFrame
    words: Words


def certainty(
    case: Case, posterior: Posterior, draws: pd.DataFrame, before: Ensemble, after: Ensemble,
    seed: int,
) -> Certainty:  # fmt: skip
    """Say how sure a projection is.

    Args:
        case: The federation.
        posterior: What the runs were drawn from.
        draws: The posterior draws that were played.
        before: Conditioned runs without discrepancy.
        after: The same with it.
        seed: Seed of the points of Sobol indices.
    """
    shares = variance_shares(before, after, case)
    moved, indices, explained = _movers_of(case, draws, before, seed)
    names = list(dict.fromkeys(draws["hypothesis"]))
    alone = moved[moved["way"] == ALONE] if len(moved) else moved
    return Certainty(
        shares, moved, indices, explained, words(posterior, names, shares, alone)
    )


def _movers_of(
    case: Case, draws: pd.DataFrame, before: Ensemble, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return tornado and Sobol indices of an emulator that the projection's own runs teach."""
    names = [n for n in case.priors.priors if n in draws.columns and draws[n].nunique() > 1]
    drawn = np.column_stack([case.priors.priors[n].z(draws[n].to_numpy(float)) for n in names])
    z = np.nan_to_num(drawn)  # a growth law has not the parameters of another
    every = quantities(case.federation)
    values = _values(before, case, every)
    moving = values.std(axis=0) > 0.0
    wanted = tuple(q for q, m in zip(every, moving, strict=True) if m)
    offset = OFFSET * np.median(values[:, moving], axis=0)
    logs = pd.DataFrame(np.log(values[:, moving] + offset)).groupby(before.point).mean()
    nothing = pd.DataFrame()
    if len(z) < DRAWS_PER_PARAMETER * len(names):
        return nothing, nothing, pd.DataFrame(columns=["quantity", "r2"])
    emulator = fit_emulator(z, logs.to_numpy())
    r2 = emulator.held_back_r2
    explained = pd.DataFrame({"quantity": [q.name for q in wanted], "r2": r2})
    good = np.flatnonzero(r2 >= EXPLAINED)
    if not len(good):
        return nothing, nothing, explained
    kept = tuple(wanted[k] for k in good)
    predict = emulator.only(good).predict

    def back(logged: FloatArray) -> FloatArray:
        return np.exp(logged) - offset[good]

    moved = tornado(predict, names, kept, drawn, back)
    indices = sobol(predict, names, kept, posterior_marginals(z), SOBOL_POWER, seed)
    return moved, indices, explained


def _values(ensemble: Ensemble, case: Case, wanted: Sequence[Quantity]) -> FloatArray:
    """Return what each run shows in the projected time; shape (runs, wanted)."""
    totals = projected_totals(ensemble, case)
    sites = [*case.federation.sites, "all"]
    columns = [totals[:, sites.index(q.site), RESOURCES.index(q.resource)] for q in wanted]
    return np.column_stack(columns)


def words(
    posterior: Posterior, names: Sequence[str], shares: pd.DataFrame, movers: pd.DataFrame
) -> Words:
    """Put into sentences what the tables say.

    Args:
        posterior: What the projection was drawn from.
        names: Hypotheses that were projected.
        shares: From `corrections.variance_shares`.
        movers: From `sensitivity.tornado` with the others at their mean; may be empty.
    """
    return Words(
        tuple(_known(posterior, names)),
        tuple(_prior(posterior, names)),
        (*_shares(shares), *_movers(movers)),
    )


def _known(posterior: Posterior, names: Sequence[str]) -> list[str]:
    table = posterior.parameters[posterior.parameters["hypothesis"].isin(names)]
    lines = []
    for name in names:
        mine = posterior.directions[posterior.directions["hypothesis"] == name]
        informed = mine[mine["ratio"] < INFORMED]
        if not len(informed):
            lines.append(f"Under `{name}` the figures inform no direction of the parameters.")
            continue
        first = informed.iloc[0]
        lines.append(
            f"Under `{name}` the figures inform {len(informed)} of {len(mine)} independent "
            f"directions of the parameters; the best known ({first['parameters']}) to "
            f"{first['ratio']:.2f} of the prior's standard deviation."
        )
    ratio = table.groupby("parameter", sort=False)["ratio"].max().sort_values()
    best = [f"`{n}` ({r:.2f})" for n, r in ratio.head(BEST).items() if r < INFORMED]
    if best:
        lines.append(
            "Best known by themselves (posterior over prior standard deviation, the worst of the "
            f"readings): {', '.join(best)}."
        )
    return lines


def _prior(posterior: Posterior, names: Sequence[str]) -> list[str]:
    table = posterior.parameters[posterior.parameters["hypothesis"].isin(names)]
    lines = idle_sentences(posterior, names)
    ratio = table.groupby("parameter", sort=False)["ratio"].min()
    left = [f"`{n}`" for n, r in ratio.items() if r >= INFORMED]
    if left:
        lines.append(
            f"{len(left)} of {len(ratio)} parameters are left at their prior under every reading: "
            f"{', '.join(left)}."
        )
    return [*lines, *_laws(posterior, names)]


def idle_sentences(posterior: Posterior, names: Sequence[str]) -> list[str]:
    """Say how much of held GPU time is idle, before and after the figures; none if not known."""
    found = posterior.idle.set_index("hypothesis")
    if "prior" not in found.index:
        return []
    before = found.loc["prior"]
    period = period_word(str(before["period"]))
    if not before["p95"] > 0.0:
        return [
            f"No GPU hours of {period} are idle by assumption, before any figure: all work "
            "computes as long as it is held. These totals say nothing about idle GPUs."
        ]

    def shown(row: pd.Series) -> str:
        return f"{percent(row['p50'])} [{percent(row['p05'])} - {percent(row['p95'])}]"

    width = before["p95"] - before["p05"]
    after = [found.loc[n, "p95"] - found.loc[n, "p05"] for n in names if n in found.index]
    shrunk = 1.0 - max(after) / width if after and width > 0.0 else 0.0
    says = "say nothing about" if shrunk < TAUGHT else "say something about"
    each = ", ".join(f"{shown(found.loc[n])} under `{n}`" for n in names if n in found.index)
    return [
        f"Totals {says} how much of the GPU hours held in {period} were idle: the prior says "
        f"{shown(before)}, the posterior {each}. What auto-release would save rests on it."
    ]


def _laws(posterior: Posterior, names: Sequence[str]) -> list[str]:
    lines = []
    table = posterior.evidence
    for name in names:
        mine = table[table["hypothesis"] == name]
        if mine["law"].nunique() < 2:
            continue
        first, second = list(dict.fromkeys(mine["law"]))[:2]
        gaps = []
        for width, rows in mine.groupby("prior_width"):
            by_law = rows.set_index("law")
            gap = by_law.loc[first, "log_evidence"] - by_law.loc[second, "log_evidence"]
            error = (by_law["log_evidence_sd"] ** 2).sum() ** 0.5
            gaps.append(f"{gap:+.1f} ± {error:.1f} with priors {width:g} times as wide")
        lines.append(
            f"Under `{name}` the log evidence for growth law {first} over {second} is "
            f"{', '.join(gaps)}."
        )
    if len(names) > 1:
        lines.append(
            "Between readings evidence is not compared: they fit different figures. They are "
            "averaged with their prior weights."
        )
    return lines


def _shares(shares: pd.DataFrame) -> list[str]:
    lines = []
    totals = shares[shares["site"] == "all"]
    for resource, mine in totals.groupby("resource", sort=False):
        ordered = mine.sort_values("share", ascending=False)
        parts = [f"{r.source} {percent(r.share)}" for r in ordered.itertuples()]
        lines.append(
            f"{resource_word(str(resource))}: of the variance of {mine['period'].iloc[0]} (on the "
            f"logarithm) comes from {', '.join(parts)}."
        )
    return lines


def _movers(movers: pd.DataFrame) -> list[str]:
    lines = []
    everywhere = movers[movers["site"] == "all"] if len(movers) else movers
    for resource, mine in everywhere.groupby("resource", sort=False) if len(everywhere) else ():
        felt = mine["swing"] >= LEAST_SWING * mine["at_mean"]
        left = mine[felt & (mine["sd_ratio"] >= INFORMED)]
        left = left.sort_values("swing", ascending=False).head(BEST)
        named = [
            f"`{r.parameter}` ({r.percent_p05:+.0f} % to {r.percent_p95:+.0f} %)"
            for r in left.itertuples()
        ]
        if named:
            lines.append(
                f"{resource_word(str(resource))}: of what the figures leave open, it hangs most on "
                f"{', '.join(named)}: the parameter at its 5 % and at its 95 % point."
            )
    return lines


