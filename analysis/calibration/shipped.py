"""Posteriors on disk: written by `aiaas calibrate`, shipped with a federation, read back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.calibration.calibrate import Calibrated
from analysis.federations import read_yaml
from analysis.storing import write_csv, write_json, write_parquet
from sim.errors import DataError


@dataclass(frozen=True, eq=False)
class Posterior:
    """A posterior read back.

    Args:
        draws: Posterior draws (see `Calibrated`). parameters, laws: The tables beside it.
        made_from: Hashes of what it was made from.
    """

    draws: pd.DataFrame
    parameters: pd.DataFrame
    laws: pd.DataFrame
    made_from: dict[str, Any]


def write_posterior(calibrated: Calibrated, folder: Path) -> None:
    """Write a posterior; `made_from.json` comes last and completes it."""
    write_parquet(calibrated.draws, folder / "draws.parquet")
    write_csv(calibrated.parameters, folder / "parameters.csv")
    write_csv(calibrated.laws, folder / "laws.csv")
    write_csv(calibrated.emulator, folder / "emulator.csv")
    write_csv(calibrated.sampler, folder / "sampler.csv")
    write_json(calibrated.made_from, folder / "made_from.json")


def read_posterior(folder: Path) -> Posterior:
    """Read a posterior.

    Raises:
        DataError: When a file is missing or cannot be read.
    """
    if not (folder / "made_from.json").is_file():
        raise DataError(
            "no posterior", str(folder), "a folder written by `aiaas calibrate`; run it first"
        )
    try:
        return Posterior(
            pd.read_parquet(folder / "draws.parquet"),
            pd.read_csv(folder / "parameters.csv"),
            pd.read_csv(folder / "laws.csv"),
            read_yaml(folder / "made_from.json"),
        )
    except (OSError, ValueError) as error:
        raise DataError("cannot be read", str(folder), "a posterior", str(error)) from None


def differences(posterior: Posterior, now: dict[str, str]) -> list[str]:
    """Return what has changed since the posterior was made (keys of `made_from`)."""
    return [key for key, value in now.items() if posterior.made_from.get(key) != value]
