"""Plays the comparisons of the policy brief and writes it: `make brief`.

Tables, figures and the brief go to docs/policy-brief/, a summary to the README. Finished runs are
kept, so that an interrupted brief goes on. `--check` only checks that both are what tables say.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import federations, scenarios
from analysis.calibration.shipped import read_posterior
from analysis.certainty import idle_sentences
from analysis.cli import composed
from analysis.frames import headline_hypothesis, span
from analysis.pages import with_tables
from analysis.paired.brief import READ, brief, summary
from analysis.paired.brief_words import Comparison
from analysis.paired.figures_tables import ALL
from analysis.paired.tables import (
    DIFFERENCES,
    FRONT,
    LEVELS,
    PRECISION,
    PRICES,
    REGRET,
    RUNS,
    SENSITIVITY,
    VARIANTS,
    WORLDS,
)
from analysis.progress import say
from analysis.storing import write_csv, write_json, write_text
from analysis.verbs import compare
from analysis.warmup import compile_kernel

HOME, FRONT_PAGE = Path("docs") / "policy-brief", Path("README.md")
FEDERATION = "imagine"
MAIN = "auto_release"
OTHERS = ("node_scale_down",)  # what else attacks empty nodes; more would not fit on two pages
DRAWS = 100  # posterior draws, as `aiaas compare` plays them; assumed: enough for 5 and 95 %
TABLES = (
    VARIANTS, DIFFERENCES, FRONT, PRICES, REGRET, LEVELS, WORLDS, SENSITIVITY, PRECISION,
)  # fmt: skip
FACTS, FIGURES, ORDER, PAGE = "run.json", "figures", "scenarios.json", "brief.md"


def make(
    federation: str, names: Sequence[str], draws: int, home: Path, more: Sequence[str] = ()
) -> Path:
    """Play comparisons and write the brief.

    Args:
        federation: A packaged federation.
        names: Scenarios, packaged or paths of YAML files; the one that the brief is about first.
        draws: Posterior draws.
        home: Where the brief, its tables and figures go; what is there is replaced.
        more: Further overrides of `aiaas compare`.

    Returns:
        Path of the brief.
    """
    for folder in federations.packaged().values():
        federations.register(folder)
    for path in scenarios.packaged().values():
        scenarios.register(path)
    compile_kernel()
    names = [scenarios.register(Path(n)) if n.endswith(".yaml") else n for n in names]
    runs = {}
    for name in names:
        say(f"policy brief: {name}")
        asked = [f"federation={federation}", f"scenario={name}", f"draws={draws}", *more]
        runs[name] = compare.execute(compare.prepare(composed("compare", asked)))
    shutil.rmtree(home, ignore_errors=True)
    for name, run in runs.items():
        publish(run, home / name, federation, name)
    write_json(list(names), home / ORDER)
    write_text(written(home), home / PAGE)
    return home / PAGE


def publish(run: Path, home: Path, federation: str, scenario: str) -> None:
    """Copy what the brief reads of a finished comparison, and write down what it was."""
    home.mkdir(parents=True)
    for table in TABLES:
        write_csv(_read_of(pd.read_csv(run / table.file)), home / table.file)
    shutil.copytree(run / FIGURES, home / FIGURES)
    write_json(_facts(run, federation, scenario), home / FACTS)


def _read_of(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table that the brief reads: all readings only of what is short."""
    if "criterion" not in table:
        return table
    mine = table["criterion"].isin(READ) & (table["hypothesis"] == headline_hypothesis(table))
    if "measure" not in table:
        mine &= table["site"] == ALL
    return table[mine]


def _facts(run: Path, federation: str, scenario: str) -> dict[str, Any]:
    """Return what the brief says of a run beyond its tables; no path of this machine."""
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    asked = manifest["config"]["scenario"]
    world = ["idle", "hypothesis", "draw", "replicate"]
    played = pd.read_parquet(run / RUNS.file, columns=world).drop_duplicates()
    first = played[played["idle"] == played["idle"].iloc[0]]
    readings = list(dict.fromkeys(first["hypothesis"]))
    posterior = read_posterior(federations.packaged()[federation] / "posterior")
    return {
        "federation": federation, "scenario": scenario, "question": asked["question"],
        "period": year_word(str(pd.read_csv(run / WORLDS.file)["period"].iloc[-1])),
        "uncertain": asked.get("uncertain") or {},
        "idleness": idle_sentences(posterior, readings),
        "config_hash": manifest["config_hash"], "seed": manifest["seed"],
        "draws": manifest["config"]["draws"], "worlds": len(first),
        "model_version": manifest["model_version"],
        "commit": manifest["git"].get("sha", ""), "dirty": manifest["git"].get("dirty", False),
    }  # fmt: skip


def year_word(period: str) -> str:
    """Name a period that is a project year.

    >>> year_word("M25-M36"), year_word("M7-M12")
    ('year 3 (M25-M36)', 'M7-M12')
    """
    first, last = span(period)
    return f"year {last // 12} ({period})" if (first % 12, last - first) == (1, 11) else period


def read(home: Path) -> Comparison:
    """Read a published comparison."""
    tables = {table.file: pd.read_csv(home / table.file) for table in TABLES}
    return Comparison(tables, json.loads((home / FACTS).read_text(encoding="utf-8")))


def written(home: Path) -> str:
    """Return the brief from what was published."""
    first, *others = json.loads((home / ORDER).read_text(encoding="utf-8"))
    about = read(home / first)
    figures = {path.stem: path.relative_to(home).as_posix()
               for path in sorted((home / first / FIGURES).glob("*.png"))}
    further = {name: read(home / name) for name in others}
    return brief(about, further, about.facts["idleness"], figures)


def with_summary(text: str, home: Path) -> str:
    """Return the README with the summary of what was published."""
    first = json.loads((home / ORDER).read_text(encoding="utf-8"))[0]
    said = summary(read(home / first), (home / PAGE).as_posix())
    return with_tables(text, {"policies": said}, FRONT_PAGE)


def current(home: Path) -> bool:
    """Whether a brief says what the tables beside it say."""
    return (home / PAGE).read_text(encoding="utf-8") == written(home)


def main() -> None:
    """Make the brief, or check it."""
    text = FRONT_PAGE.read_text(encoding="utf-8")
    if sys.argv[1:] == ["--check"]:
        if not current(HOME) or with_summary(text, HOME) != text:
            sys.exit(f"{HOME / PAGE} or {FRONT_PAGE} does not say what tables say: `make brief`")
        return
    names = [MAIN, *(name for name in OTHERS if name in scenarios.packaged())]
    print(make(FEDERATION, names, DRAWS, HOME))
    FRONT_PAGE.write_text(with_summary(text, HOME), encoding="utf-8")


if __name__ == "__main__":
    main()
