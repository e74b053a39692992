"""What a calibration says of itself: how good its emulators are, and what evidence rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from analysis.calibration.batch import Batch, conditional_draws
from analysis.calibration.emulator import Emulator
from analysis.calibration.posterior import sample_branch
from analysis.calibration.waves import Branches, Learned, Work, batch_of, shares
from analysis.hypotheses import targets
from analysis.outputs import subset
from sim.errors import DataError
from sim.units import FloatArray, IntArray

OTHER_WIDTHS = (0.5, 2.0)  # of the priors, relative to the stated ones
WIDTH_STEPS = 0.25  # steps of the sampler under another prior, relative to those of the calibration
IDLE_DRAWS = 4000
FEWEST_PAIRS = 10  # points played twice below which replicates are not told from lack of fit


def replicate_sd(z: FloatArray, outputs: FloatArray) -> tuple[FloatArray, int]:
    """Return by how much replicates of the same point differ.

    Args:
        z: Points, shape (runs, parameters); those that stand there more than once are used.
        outputs: Logged outputs, shape (runs, outputs).

    Returns:
        Standard deviation, shape (outputs,), and the degrees of freedom behind it.
    """
    _, group = np.unique(z, axis=0, return_inverse=True)
    covariance, freedom = replicate_covariance(group.ravel(), outputs)
    return np.sqrt(np.diag(covariance)), freedom


def replicate_covariance(point: IntArray, values: FloatArray) -> tuple[FloatArray, int]:
    """Return the covariance of replicates of the same point, and its degrees of freedom.

    Args:
        point: Number of the point of each run, shape (runs,).
        values: Shape (runs, outputs).
    """
    _, group, counts = np.unique(point, return_inverse=True, return_counts=True)
    means = np.zeros((len(counts), values.shape[1]))
    np.add.at(means, group, values)
    away = values - (means / counts[:, None])[group]
    freedom = int((counts - 1).sum())
    return away.T @ away / max(freedom, 1), freedom


def emulator_table(
    work: Work, emulators: Mapping[str, Emulator], learned: Mapping[str, Learned] | None
) -> pd.DataFrame:
    """Judge every emulator by the runs near the posterior, figure by figure.

    Args:
        work: Whose figures they emulate.
        emulators: By growth law.
        learned: The runs behind them; None where no point was played twice.

    Returns:
        law, figure, ledger, held_back_rms, held_back_r2, replicate_sd (what two replicates of a
        point differ by), lack_of_fit (what is left of the held-back error), noise (of the reported
        figure) and observed_sd (noise and replicates together: what two reports of the same truth
        would differ by); all logarithmic. Where replicates are not told from lack of fit,
        replicate_sd and what follows from it are blank.
    """
    rows = []
    for law, emulator in emulators.items():
        spread = np.full(len(work.figures), np.nan)
        if learned:
            known = learned[law]
            near = slice(-(known.near or len(known.design.z)), None)
            found, freedom = replicate_sd(known.design.z[near], known.outputs[near])
            spread = found if freedom >= FEWEST_PAIRS else spread
        for i, figure in enumerate(work.figures):
            noise = work.case.hypotheses.noise_of(figure)
            rms = float(emulator.held_back_rms[i])
            lack = float(np.sqrt(np.maximum(rms**2 - spread[i] ** 2, 0.0)))
            rows.append(
                (law, figure.id, figure.ledger, rms, float(emulator.held_back_r2[i]),
                 float(spread[i]), lack, noise, float(np.hypot(noise, spread[i])))
            )  # fmt: skip
    columns = ["law", "figure", "ledger", "held_back_rms", "held_back_r2", "replicate_sd",
               "lack_of_fit", "noise", "observed_sd"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def refuse_poor(table: pd.DataFrame, tolerated: float) -> list[str]:
    """Refuse emulators whose error exceeds what figures themselves are uncertain by, by too much.

    What an emulator leaves over is part of the likelihood's covariance, so that a poor one makes a
    posterior wider, not wrong; but it is then no longer the figure that is fitted.

    Args:
        table: From `emulator_table`.
        tolerated: Lack of fit, relative to a figure's own uncertainty, above which it is refused.

    Returns:
        A sentence for those that exceed it by less; none if there are none.

    Raises:
        DataError: For the worst of those that exceed it by more.
    """
    ratio = table["lack_of_fit"] / table["observed_sd"]
    if not (ratio > 1.0).any():
        return []
    worst = table.loc[ratio.idxmax()]
    where = f"figure {worst['figure']} ({worst['ledger']}), growth law {worst['law']}"
    if ratio.max() > tolerated:
        raise DataError(
            "the emulator is not good enough",
            where,
            f"a log error of at most {tolerated * worst['observed_sd']:.2f}, {tolerated:g} times "
            "what the figure itself is uncertain by; give more runs=, or narrower priors",
            f"{worst['lack_of_fit']:.2f}",
        )
    return [
        f"{int((ratio > 1.0).sum())} of {len(table)} emulated figures have an error above what the "
        f"figure itself is uncertain by, which widens the posterior; the worst is {where}: log "
        f"error {worst['lack_of_fit']:.2f} against {worst['observed_sd']:.2f}"
    ]


def evidence_table(
    work: Work, emulators: Mapping[str, Emulator], branches: Branches
) -> pd.DataFrame:
    """Hold every branch's evidence beside that under narrower and wider priors.

    The prior's standard deviation on the z scale is multiplied; the cut-off stays, because no runs
    could teach an emulator beyond it.

    Returns:
        hypothesis, law, figures (number fitted), prior_width, log_evidence, log_evidence_sd.
    """
    names = list(work.case.hypotheses.hypotheses)
    steps = max(int(work.settings.steps * WIDTH_STEPS), 50)
    keys = [(*branch, width) for branch in branches for width in OTHER_WIDTHS]
    tasks = []
    for name, law, width in keys:
        batch = batch_of(work, name, law, emulators[law])
        seed = work.settings.seed + 300 + 10 * names.index(name) + work.laws.index(law)
        tasks.append(delayed(_evidence)(replace(batch, width=width), steps, seed))
    found = {(*key, 1.0): (b.log_evidence, b.log_evidence_sd) for key, b in branches.items()}
    with work.progress("evidence under other priors", len(keys)) as advance:
        each = Parallel(n_jobs=work.settings.jobs, return_as="generator")(tasks)
        for key, evidence in zip(keys, each, strict=True):
            found[key] = evidence
            advance(1)
    rows = []
    for name, law in branches:
        fitted = targets(work.case.observations, work.case.hypotheses.hypotheses[name])
        count = len(subset(work.figures, fitted))
        for width in sorted({1.0, *OTHER_WIDTHS}):
            rows.append((name, law, count, width, *found[name, law, width]))
    columns = ["hypothesis", "law", "figures", "prior_width", "log_evidence", "log_evidence_sd"]
    return pd.DataFrame(rows, columns=columns)


def prior_idle(work: Work, learned: Mapping[str, Learned]) -> pd.DataFrame:
    """Return the row of `idle_table` that the runs spread over the prior make."""
    before = [k.outputs[: len(k.outputs) - k.near, -1] for k in learned.values()]
    return _idle_rows(work, {"prior": np.concatenate(before)})


def idle_table(
    work: Work,
    emulators: Mapping[str, Emulator],
    branches: Branches,
    laws: pd.DataFrame,
    before: pd.DataFrame,
) -> pd.DataFrame:
    """Hold the idle share of held GPU hours in the last reported period, prior against posterior.

    Posterior draws are emulated, with the part of their residual that the figures' residuals tell.

    Args:
        work: Whose figures were fitted.
        emulators: By growth law; the logged busy share is their last output.
        branches: Posterior draws.
        laws: Weights of the growth laws.
        before: The prior's row.

    Returns:
        hypothesis (`prior` for the prior), period, p05, p50, p95; shares between 0 and 1.
    """
    random = np.random.Generator(np.random.Philox(work.settings.seed + 99))
    found = {}
    for name in work.case.hypotheses.hypotheses:
        weights = laws[laws["hypothesis"] == name].set_index("law")["weight"]
        parts = []
        for law, share in shares(weights, IDLE_DRAWS).items():
            batch, z = batch_of(work, name, law, emulators[law]), branches[name, law].z
            z = z[random.integers(len(z), size=share)]
            parts.append(conditional_draws(batch, z[None], len(work.figures), random)[0, :, 0])
        found[name] = np.concatenate(parts)
    return pd.concat([before, _idle_rows(work, found)], ignore_index=True)


def _idle_rows(work: Work, logs: Mapping[str, FloatArray]) -> pd.DataFrame:
    months = work.last_period
    period = f"M{months.start}-M{months.stop - 1}"
    rows = []
    for name, values in logs.items():
        idle = 1.0 - np.minimum(np.exp(values), 1.0)
        rows.append((name, period, *np.quantile(idle, [0.05, 0.5, 0.95])))
    return pd.DataFrame(rows, columns=["hypothesis", "period", "p05", "p50", "p95"])


def _evidence(batch: Batch, steps: int, seed: int) -> tuple[float, float]:
    branch = sample_branch(batch, steps, seed)
    return branch.log_evidence, branch.log_evidence_sd
