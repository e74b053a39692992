"""Worlds: a posterior draw, a prior of idleness and a replicate, played with every variant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pandas as pd

from analysis.paired.idleness import IdlePrior, with_idle_share
from analysis.paired.keeping import Keep, Kept
from analysis.paired.variants import Playable, drawn, policies_at
from analysis.scenarios import Scenario
from analysis.worlds import federation_at
from sim.engine.logs import Logs
from sim.entities import Federation
from sim.plan.world import Plan, draw_plan
from sim.policies.base import Policies
from sim.runner import RunSpec, run_on

T = TypeVar("T")
CALIBRATED = "posterior"  # idleness as calibrated
NUMBERS = 1_000_000  # replicate numbers of the runs of a replicate: more than posterior draws


@dataclass(frozen=True, eq=False)
class Draw:
    """A posterior draw with what is drawn beside it.

    Args:
        hypothesis: Reading that it belongs to.
        number: Its number within the reading.
        row: Its row in the posterior's table, which numbers the runs.
        values: The posterior's values.
        policies: Of each variant.
        uncertain: Drawn values of the policies' parameters, by path.
    """

    hypothesis: str
    number: int
    row: int
    values: pd.Series
    policies: tuple[Policies, ...]
    uncertain: dict[str, float]

    @property
    def name(self) -> str:
        """The name of its streams."""
        return f"{self.hypothesis}/{self.number}"


def draws_of(
    posterior: pd.DataFrame, variants: list[Playable], scenario: Scenario, seed: int
) -> tuple[list[Draw], int]:
    """Return posterior draws with the policies of all variants, and how many draws were moved.

    Args:
        posterior: Chosen rows of the posterior's draws, with their index.
        variants: The variants.
        scenario: What is uncertain.
        seed: Seed of the experiment.
    """
    found, count = [], 0
    for row, values in posterior.iterrows():
        name = f"{values['hypothesis']}/{values['draw']}"
        policies, used, moved = policies_at(variants, drawn(scenario, seed, name))
        count += moved
        place = (str(values["hypothesis"]), int(values["draw"]), int(row))  # type: ignore[call-overload]
        found.append(Draw(*place, values, tuple(policies), used))
    return found, count


@dataclass(frozen=True)
class World:
    """Variants in one world.

    Args:
        specs: A run each, with the same seed and replicate.
        serves: Whether clusters are played; who only wants the GPU-h does without them.
    """

    specs: tuple[RunSpec, ...]
    serves: bool = True


@dataclass(frozen=True)
class PlayWorld:
    """Plays the variants of a world one after the other; picklable.

    Args:
        keep: What is kept of each run.
    """

    keep: Keep

    def __call__(self, world: World) -> list[Kept]:
        """Return what is kept of each variant; what variants have in common is done once."""
        plans: list[tuple[Federation, Plan]] = []
        served: list[tuple[tuple[Any, ...], Logs]] = []
        kept = []
        for spec in world.specs:
            plan = _known(spec.federation, plans)
            if plan is None:
                plan = draw_plan(spec.federation, spec.seed, spec.replicate)
                plans.append((spec.federation, plan))
            serving = (spec.federation, spec.policies.serving, spec.policies.nodes)
            done = _known(serving, served) if world.serves else Logs()
            result = run_on(plan, spec, done)
            served.append((serving, result.logs))
            kept.append(self.keep(result))
        return kept


def _known(key: Any, found: Sequence[tuple[Any, T]]) -> T | None:
    return next((value for known, value in found if known == key), None)


@dataclass(frozen=True, eq=False)
class Block:
    """All posterior draws with one prior of idleness and one replicate of each.

    Args:
        idle: Name of the prior of idleness.
        replicate: From 0.
        variants: Places of the variants that are played.
        serves: Whether clusters are played.
    """

    idle: str
    replicate: int
    variants: tuple[int, ...]
    serves: bool = True


def worlds_of(
    block: Block, draws: Sequence[Draw], variants: Sequence[Playable],
    priors: dict[str, IdlePrior], seed: int,
) -> list[World]:
    """Return the worlds of a block, in the order of draws.

    The number of a run does not depend on how many draws or replicates there are, nor on the prior
    of idleness: worlds that differ in it alone differ in nothing else.
    """
    return [
        World(
            _specs(draw, block, variants, idle_share(draw, block.idle, priors, seed), seed),
            block.serves,
        )
        for draw in draws
    ]


def idle_share(
    draw: Draw, idle: str, priors: dict[str, IdlePrior], seed: int
) -> float | None:
    """Return the idle share that a draw has under a prior of idleness; None as calibrated."""
    return None if idle == CALIBRATED else priors[idle].share(seed, idle, draw.name)


def _specs(
    draw: Draw, block: Block, variants: Sequence[Playable], share: float | None, seed: int
) -> tuple[RunSpec, ...]:
    built: dict[int, Any] = {}
    for place in block.variants:
        case = variants[place].case
        if id(case) not in built:
            federation = federation_at(case, draw.values)
            built[id(case)] = federation if share is None else with_idle_share(federation, share)
    number = block.replicate * NUMBERS + draw.row
    return tuple(
        RunSpec(built[id(variants[i].case)], draw.policies[i], seed, number)
        for i in block.variants
    )
