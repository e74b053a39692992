"""A folder of its own for every run, with a manifest that says what it is and how it ended."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from analysis.fingerprint import digest, file_sha256
from analysis.storing import write_json
from sim import MODEL_VERSION

_PACKAGES = (
    "aiaas-sim", "simpy", "numpy", "scipy", "pandas", "pandera", "pyarrow", "hydra-core", "emcee",
    "holidays",
)  # fmt: skip


@dataclass
class RunFolder:
    """The folder of one run.

    Args:
        path: The folder.
        manifest: What is written to manifest.json.
        began: Monotonic time at the start, s.
    """

    path: Path
    manifest: dict[str, Any]
    began: float = field(default_factory=time.monotonic)

    def finish(self, status: str, **more: Any) -> None:
        """Write the manifest with the final status (finished, interrupted or failed)."""
        wall_s = round(time.monotonic() - self.began, 3)
        self.manifest |= {"status": status, "wall_time_s": wall_s, **more}
        write_json(self.manifest, self.path / "manifest.json")

    def stop(self, error: BaseException, **more: Any) -> None:
        """Write the manifest of a run that an exception ended."""
        self.finish("interrupted" if isinstance(error, KeyboardInterrupt) else "failed", **more)


def open_run_folder(
    verb: str, config: Mapping[str, Any], inputs: Mapping[str, Path], seed: int | None
) -> RunFolder:
    """Create `outputs/<verb>/<time with microseconds>-<hash>/` below the current directory.

    Two runs that start at once get two folders: creation fails if the folder exists and is tried
    again with a later time.

    Args:
        verb: The command.
        config: Its composed configuration, plain data.
        inputs: Files that were read, by name; missing ones are left out.
        seed: Seed entropy of the run; None where nothing is drawn.
    """
    config_hash = digest(dict(config))
    while True:
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
        path = Path.cwd() / "outputs" / verb / f"{stamp}-{config_hash[:8]}"
        try:
            path.mkdir(parents=True)
            break
        except FileExistsError:
            time.sleep(1e-4)
    manifest = {
        "verb": verb,
        "status": "running",
        "started_utc": stamp,
        "versions": _versions(),
        "model_version": MODEL_VERSION,
        "git": _git(),
        "config_hash": config_hash,
        "seed": seed,
        "input_sha256": {n: file_sha256(p) for n, p in inputs.items() if p.is_file()},
        "config": dict(config),
    }
    write_json(manifest, path / "manifest.json")
    return RunFolder(path, manifest)


def kept_folder() -> Path:
    """Return where finished runs are kept for the next time, below the current directory."""
    return Path.cwd() / "outputs" / "kept"


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": sys.platform}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _git() -> dict[str, Any]:
    """Return the commit of the source tree and whether it was changed; empty without git."""
    source = Path(__file__).resolve().parent.parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(source), *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")) != source:
            return {}
        return {"sha": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return {}
