"""Posteriors on disk: written by `aiaas calibrate`, shipped with a federation, read back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.calibration.calibrate import Calibrated
from analysis.calibration.emulator import Emulator
from analysis.federations import read_yaml
from analysis.storing import read_csv, write_atomically, write_csv, write_json, write_parquet
from sim.errors import DataError


@dataclass(frozen=True, eq=False)
class Posterior:
    """A posterior read back.

    Args:
        draws: Posterior draws (see `Calibrated`).
        parameters, laws, evidence, idle, directions: The tables beside it.
        made_from: Hashes of what it was made from.
        folder: Where it was read.
    """

    draws: pd.DataFrame
    parameters: pd.DataFrame
    laws: pd.DataFrame
    evidence: pd.DataFrame
    idle: pd.DataFrame
    directions: pd.DataFrame
    made_from: dict[str, Any]
    folder: Path


def write_posterior(calibrated: Calibrated, folder: Path) -> None:
    """Write a posterior; `made_from.json` comes last and completes it."""
    write_parquet(calibrated.draws, folder / "draws.parquet")
    write_csv(calibrated.parameters, folder / "parameters.csv")
    write_csv(calibrated.laws, folder / "laws.csv")
    write_csv(calibrated.evidence, folder / "evidence.csv")
    write_csv(calibrated.idle, folder / "idle.csv")
    write_csv(calibrated.directions, folder / "directions.csv")
    write_csv(calibrated.emulator, folder / "emulator.csv")
    for law, emulator in calibrated.emulators.items():
        _write_emulator(emulator, folder / f"emulator-{law}.npz")
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
            read_csv(folder / "parameters.csv"),
            read_csv(folder / "laws.csv"),
            read_csv(folder / "evidence.csv"),
            read_csv(folder / "idle.csv"),
            read_csv(folder / "directions.csv"),
            read_yaml(folder / "made_from.json"),
            folder,
        )
    except (OSError, ValueError) as error:
        raise DataError("cannot be read", str(folder), "a posterior", str(error)) from None


def differences(posterior: Posterior, now: dict[str, str]) -> list[str]:
    """Return what has changed since the posterior was made (keys of `made_from`)."""
    return [key for key, value in now.items() if posterior.made_from.get(key) != value]


_ARRAYS = ("coefficients", "residual_covariance", "held_back_rms", "held_back_r2", "spread",
           "spread_range", "link")  # fmt: skip


def _write_emulator(emulator: Emulator, path: Path) -> None:
    """Write an emulator in single precision: its own error is a thousand times larger."""
    arrays = {n: np.asarray(getattr(emulator, n), dtype=np.float32) for n in _ARRAYS}

    def write(part: Path) -> None:
        with part.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    write_atomically(path, write)


def read_emulators(posterior: Posterior) -> tuple[pd.DataFrame, dict[str, Emulator]]:
    """Read the emulators of a posterior.

    Returns:
        The outputs they have (figure, ledger, in order) and the emulators by growth law.

    Raises:
        DataError: When a file is missing or cannot be read.
    """
    where = posterior.folder
    try:
        judged = read_csv(where / "emulator.csv")
        emulators = {}
        for law in judged["law"].unique():
            with np.load(where / f"emulator-{law}.npz") as arrays:
                parts = {n: arrays[n].astype(np.float64) for n in _ARRAYS}
            emulators[str(law)] = Emulator(**parts)
    except (OSError, ValueError, KeyError) as error:
        raise DataError("cannot be read", str(where), "emulators", str(error)) from None
    first = judged[judged["law"] == judged["law"].iloc[0]]
    return first[["figure", "ledger"]].reset_index(drop=True), emulators
