"""Plays an experiment in rounds of one replicate of every draw, until it is precise enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from analysis.chunks import in_chunks
from analysis.fingerprint import digest
from analysis.paired.decisions import precision
from analysis.paired.idleness import IdlePrior
from analysis.paired.keeping import Keep, Kept
from analysis.paired.playing import CALIBRATED, Block, Draw, PlayWorld, worlds_of
from analysis.paired.results import Played, played_of
from analysis.paired.variants import Playable
from analysis.progress import progress
from analysis.runfolder import kept_folder
from sim.ensemble import in_order

CHUNK = 10  # worlds kept at a time: seconds of work
Rounds = dict[str, list[list[list[Kept]]]]  # by prior: by replicate, by draw, by variant


@dataclass(frozen=True, eq=False)
class Experiment:
    """What is played.

    Args:
        variants: The variants, in order.
        baseline: Place of the baseline among them.
        hypotheses: Readings of the report and their weights.
        draws: Posterior draws with the policies of each variant.
        idle: Names of the priors of idleness, in order; `CALIBRATED` for none.
        priors: By name.
        replicates: Of each draw, at least.
        most: Of each draw, at most.
        half_width: Half-width of the 90 % confidence interval of the mean paired difference in
            allocated GPU-h that is asked for, as a share of the baseline's; None for none.
        seed: Seed entropy.
        jobs: Processes.
        keep: What is kept of each run.
        source: Names all that the runs depend on but prior of idleness, variant and replicate.
    """

    variants: tuple[Playable, ...]
    baseline: int
    hypotheses: dict[str, float]
    draws: tuple[Draw, ...]
    idle: tuple[str, ...]
    priors: dict[str, IdlePrior]
    replicates: int
    most: int
    half_width: float | None
    seed: int
    jobs: int
    keep: Keep
    source: str

    def played(self, idle: str, rounds: Rounds) -> Played:
        """Return the worlds of a prior as arrays; of one that was not asked for, the baseline's."""
        names = [v.name for v in self.variants]
        whole = idle in self.idle
        return played_of(
            idle, names if whole else [names[self.baseline]], self.baseline if whole else 0,
            self.draws, self.hypotheses, rounds[idle],
        )  # fmt: skip


def play(experiment: Experiment) -> Rounds:
    """Play until every mean is known well enough, or the most replicates are reached.

    Finished worlds are kept on disk and are not played again. Idleness as calibrated is always
    played, if only in the baseline and without clusters, to see whether totals stayed.
    """
    rounds: Rounds = {idle: [] for idle in (*experiment.idle, CALIBRATED)}
    _play_rounds(experiment, range(experiment.replicates), rounds)
    while not reached(experiment, rounds) and (done := len(rounds[CALIBRATED])) < experiment.most:
        _play_rounds(experiment, range(done, done + 1), rounds)
    return rounds


def reached(experiment: Experiment, rounds: Rounds) -> bool:
    """Return whether every variant is known as well as was asked for, under every prior."""
    if experiment.half_width is None:
        return True
    played = [experiment.played(idle, rounds) for idle in experiment.idle]
    return all(precision(p, experiment.half_width)["reached"].all() for p in played)


def _play_rounds(experiment: Experiment, replicates: range, rounds: Rounds) -> None:
    every = tuple(range(len(experiment.variants)))
    blocks = [
        Block(idle, k, every)
        if idle in experiment.idle
        else Block(idle, k, (experiment.baseline,), serves=False)
        for k in replicates
        for idle in rounds
    ]
    runs = sum(len(b.variants) for b in blocks) * len(experiment.draws)
    more = f", replicate {replicates.start + 1}" if replicates.start else ""
    with progress(f"runs{more}", runs) as advance:
        for block in blocks:
            rounds[block.idle].append(_play_block(experiment, block, advance))


def _play_block(
    experiment: Experiment, block: Block, advance: Callable[[int], None]
) -> list[list[Kept]]:
    """Play the worlds of a block, or read what is kept of them."""
    prior = experiment.priors.get(block.idle)
    names = [experiment.variants[i].name for i in block.variants]
    key = digest(experiment.source, block.idle, prior, block.replicate, names)
    return in_chunks(
        lambda: worlds_of(
            block, experiment.draws, experiment.variants, experiment.priors, experiment.seed
        ),
        len(experiment.draws),
        lambda worlds: in_order(PlayWorld(experiment.keep), worlds, experiment.jobs),
        kept_folder() / f"comparison-{key}",
        lambda worlds: advance(worlds * len(block.variants)),
        CHUNK,
    )
