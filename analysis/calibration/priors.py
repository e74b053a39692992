"""Priors of the calibrated parameters, and how their values enter a federation.

Every parameter lives on a standard normal scale z, cut off at `Z_LIMIT` (beyond it lie 1.2 % of
the normal, and no runs that could teach an emulator); its distribution turns z into a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Gt, Len
from scipy.special import expit, logit, ndtr, ndtri

from sim.config import build
from sim.entities import Federation
from sim.errors import ConfigError
from sim.paths import value_at, with_value
from sim.units import FloatArray

Z_LIMIT = 2.5


@dataclass(frozen=True)
class Prior:
    """Prior of one parameter.

    Args:
        paths: Where the value enters the federation; `*` stands for every name at that place.
        distribution: `lognormal` or `logitnormal`.
        median: Median, in `unit`.
        sigma: Standard deviation on the logarithmic or logit scale.
        unit: Unit of the value.
        source: Reference, or the word assumed.
        mode: `set` replaces the configured value, `scale` multiplies it.
        law: The growth law it belongs to; None for all.
    """

    paths: Annotated[tuple[str, ...], Len(1)]
    distribution: Literal["lognormal", "logitnormal"]
    median: Annotated[float, Gt(0.0)]
    sigma: Annotated[float, Gt(0.0)]
    unit: str
    source: str
    mode: Literal["set", "scale"] = "set"
    law: Literal["saturating", "deployed"] | None = None

    def value(self, z: float | FloatArray) -> Any:
        """Turn standard normal z into a value in `unit`, same shape."""
        return value_at_z(self.distribution, self.median, self.sigma, z)


    def z(self, value: FloatArray) -> FloatArray:
        """Turn values in `unit` back into z, same shape."""
        if self.distribution == "logitnormal":
            return np.asarray((logit(value) - logit(self.median)) / self.sigma)
        return np.asarray(np.log(np.asarray(value) / self.median) / self.sigma)


def value_at_z(distribution: str, median: float, sigma: float, z: float | FloatArray) -> Any:
    """Turn standard normal z into values of a `lognormal` or `logitnormal`, same shape."""
    if distribution == "logitnormal":
        return expit(logit(median) + sigma * np.asarray(z))
    return median * np.exp(sigma * np.asarray(z))


@dataclass(frozen=True)
class Priors:
    """All priors of a federation, by name and in order."""

    priors: dict[str, Prior]

    def names(self, law: str) -> tuple[str, ...]:
        """Return the parameters that are at work under a growth law, in order."""
        return tuple(n for n, p in self.priors.items() if p.law in (None, law))

    def values(self, names: Sequence[str], z: FloatArray) -> dict[str, FloatArray]:
        """Return values for z of shape (..., len(names))."""
        return {n: self.priors[n].value(z[..., i]) for i, n in enumerate(names)}

    def apply(self, federation: Federation, values: Mapping[str, float]) -> Federation:
        """Return the federation with the given parameter values in place."""
        for name, value in values.items():
            prior = self.priors[name]
            for path in expanded(federation, prior.paths):
                base = value_at(federation, path) if prior.mode == "scale" else 1.0
                federation = with_value(federation, path, float(base * value))
        return federation


def load_priors(data: Mapping[str, Any], federation: Federation) -> Priors:
    """Build priors from plain data and check that their paths exist.

    Raises:
        ConfigError: For a wrong key or value, an impossible median, or a path that leads nowhere.
    """
    priors = build(Priors, data, "priors.yaml")
    for name, prior in priors.priors.items():
        if prior.distribution == "logitnormal" and prior.median >= 1.0:
            raise ConfigError(
                "impossible median", f"priors.yaml.{name}.median", "between 0 and 1", prior.median
            )
        for path in expanded(federation, prior.paths):
            if not isinstance(value_at(federation, path), (int, float)):
                raise ConfigError(
                    "not a number", f"priors.yaml.{name}.paths", "paths of numbers", path
                )
    return priors


def expanded(federation: Federation, paths: Sequence[str]) -> list[str]:
    """Replace `*` in paths by every name at its place."""
    found: list[str] = []
    for path in paths:
        before, star, after = path.partition(".*.")
        if star:
            found += [f"{before}.{name}.{after}" for name in value_at(federation, before)]
        else:
            found.append(path)
    return found


def quantile_to_z(u: FloatArray) -> FloatArray:
    """Turn points of the unit cube into z of the cut-off standard normal."""
    low = ndtr(-Z_LIMIT)
    return ndtri(low + np.asarray(u) * (1.0 - 2.0 * low))
