"""The policy brief: two pages that say what releasing idle GPUs saves, costs and hangs on.

Every number comes from a table of the comparison, and words follow the numbers' signs.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from analysis.paired.brief_decision import cautious, recommendation
from analysis.paired.brief_limits import caveats, provenance
from analysis.paired.brief_words import Comparison, idles_said, listed, number, rounded, said_once
from analysis.paired.figures import PRICE, shown_variant
from analysis.paired.figures_look import idle_word
from analysis.paired.tables import PRICES, SENSITIVITY, VARIANTS
from analysis.report import markdown_table
from analysis.wording import under

HELD, EXISTS = "allocated", "provisioned"
LEADING = 2  # variants of a further comparison that are shown
COSTS = {  # criterion: what it is in a table
    "wait_h": "waiting", "setup_h": "setting up", "lost_h": "computing again", "user_h": "in all",
}  # fmt: skip
READ = frozenset(  # criteria that the brief reads
    {"gpu_provisioned", "gpu_allocated", "gpu_idle", "interruptions", "lost_gpu_h", "wait_p50",
     *COSTS}
)  # fmt: skip
CAPTIONS = {  # of figures; the first is part of the text
    "savings": "Savings and interruptions",
    "monthly": "GPUs over the months, without the policy and with it",
    "differences": "differences to doing nothing",
    "front": "savings and the cost to users",
    "prices": "best choice by the price of an interruption",
    "waits": "waits",
    "sites": "sites",
}
EMBEDDED = ("savings",)


def brief(
    main: Comparison, others: Mapping[str, Comparison], idleness: Sequence[str],
    figures: Mapping[str, str],
) -> str:  # fmt: skip
    """Return the brief as Markdown.

    Args:
        main: The comparison that it is about.
        others: Further comparisons by name: what else could be done.
        idleness: Sentences on what the reported figures say of idleness.
        figures: Links of the main comparison's figures by their stem.
    """
    parts = [
        _head(main), _answer(main), _table(main), _depends(main, figures), _pays(main),
        _unchanged(main), *(_other(n, c) for n, c in others.items()),
        _recommends(main, others), caveats(main, idleness), provenance(main, others),
        _further(figures),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(main: Comparison, link: str) -> str:
    """Return the brief in a few sentences, for a front page that links it."""
    variant = shown(main)
    moves = [i for i in main.idles if main.saved(EXISTS, variant, i).p50]
    machines = f"In half of the worlds or more {EXISTS} GPU-h do not change: machines stay."
    return (
        f"**Would it help to release GPUs that sit idle?** In {main.facts['period']} `{variant}` "
        f"{_saves(main, variant)}, {HELD}. Interruptions of users who had work left: "
        f"{_interrupts(main, variant)}.{'' if moves else ' ' + machines} What an interruption is "
        f"worth decides which time is the best; [the policy brief]({link}) says from which price "
        "on."
    )


def _head(main: Comparison) -> str:
    facts = main.facts
    return (
        f"# What releasing idle GPUs saves: {facts['federation']}, {facts['period']}\n\n"
        "Numbers are medians with their 90 % interval [5 % to 95 %] over simulated worlds, "
        f"{under(main.reading)}; each world is played without a policy (`{main.baseline}`) and "
        f"with each. GPU-h are **{HELD}** (a deployment holds the GPU) or **{EXISTS}** (the "
        "machine exists); the two are never added. Nobody has measured how much of the held time "
        f"is idle, so numbers stand beside a prior of it: without a policy the idle share of held "
        f"GPU time is {idles_said(main)}."
    )


def _ends(main: Comparison) -> list[str]:
    """Return the priors with the least and the most idleness, or the only one."""
    return list(dict.fromkeys([main.idles[0], main.idles[-1]]))


def _answer(main: Comparison) -> str:
    """Give question and answer in three sentences, for the first and the last variant."""
    extremes = list(dict.fromkeys([main.variants[0], main.variants[-1]]))
    saves = "; ".join(f"`{v}` {_saves(main, v)}" for v in extremes)
    cuts = "; ".join(f"`{v}` {_interrupts(main, v)}" for v in extremes)
    return (
        f"## Question and answer\n\n**{main.facts['question']}**\n\n"
        f"In {main.facts['period']} {saves}. Deployments taken from users who had work left: "
        f"{cuts}. {_provisioned(main)}"
    )


def _saves(main: Comparison, variant: str) -> str:
    """Say what a variant saves under the least and the most idleness."""
    gained = {i: main.saved(HELD, variant, i) for i in _ends(main)}
    said = [f"{g.said('saves', 'costs', f'saves no {HELD} GPU-h')} under {idle_word(i)}"
            for i, g in gained.items()]
    return said_once(said, "saves")


def _interrupts(main: Comparison, variant: str) -> str:
    """Say how many users a variant interrupts at the extremes."""
    return " and ".join(f"{main.change('interruptions', variant, i)} under {idle_word(i)}"
                        for i in _ends(main))


def _provisioned(main: Comparison) -> str:
    """Say whether any variant moves provisioned hours, and in how many worlds."""
    found = [(main.saved(EXISTS, v, i), v, i) for v in main.variants for i in main.idles]
    if all(effect.none for effect, *_ in found):
        return (f"No {EXISTS} GPU-h are saved: machines stay, so that what is saved is room for "
                "others, neither machines nor power.")
    if any(effect.p50 for effect, *_ in found):
        moving = dict.fromkeys(f"`{v}`" for effect, v, _ in found if not effect.none)
        return (f"{EXISTS.capitalize()} GPU-h change with {listed(list(moving))}, as the table "
                "says.")
    most, variant, idle = max(found, key=lambda x: x[0].p95)
    return (f"In half of the worlds or more no {EXISTS} GPU-h are saved: machines stay, and what "
            f"is saved is room for others. In others capacity follows demand: {most} GPU-h at the "
            f"most, with `{variant}` under {idle_word(idle)}.")


def _table(main: Comparison) -> str:
    """Lay out savings and costs: two rows for each variant, the least and the most idleness."""
    rows = [
        {
            "policy": f"`{variant}`", "idleness": idle,
            "GPU-h saved, allocated": main.saved(HELD, variant, idle),
            "GPU-h saved, provisioned": main.saved(EXISTS, variant, idle),
            "interruptions": main.change("interruptions", variant, idle),
            "lost work (GPU-h)": main.change("lost_gpu_h", variant, idle),
        }
        for variant in main.variants for idle in _ends(main)
    ]  # fmt: skip
    return (
        f"## Savings and costs in {main.facts['period']}\n\n"
        f"Differences to `{main.baseline}`, all sites. Interruptions are deployments taken from a "
        "user who had work left. "
        f"{_median_wait(main)}\n\n"
        f"{_laid_out(rows)}"
    )


def _median_wait(main: Comparison) -> str:
    """Say how the median wait changes."""
    found = [main.change("wait_p50", v, i) for v in main.variants for i in main.idles]
    if all(effect.none for effect in found):
        return "The median wait for GPUs stays as it is."
    return f"The median wait for GPUs changes by {listed(list(dict.fromkeys(map(str, found))))} h."


def _laid_out(rows: Sequence[Mapping[str, object]]) -> str:
    return markdown_table(pd.DataFrame(rows).map(str))


def shown(main: Comparison) -> str:
    """Return the variant that examples are given for: best at `PRICE` under most priors."""
    return shown_variant(main.tables[PRICES.file], main.tables[VARIANTS.file])


def _depends(main: Comparison, figures: Mapping[str, str]) -> str:
    """Say what savings hang on: idleness, the reading, what nobody knows of the policy."""
    variant, ends = shown(main), _ends(main)
    lines = [
        f"The example from here on is `{variant}`: of the policies it is the best at "
        f"{number(PRICE)} GPU-h an interruption under most priors of idleness.",
    ]
    if len(main.readings) > 1:
        parts = [f"{_median(main, i, r)} (`{r}`, {idle_word(i)})"
                 for i in ends for r in main.readings]
        lines.append(f"**Reading of the report:** medians saved, GPU-h: {listed(parts)}.")
    body = "\n".join(f"- {line}" for line in lines)
    return (f"## What it depends on\n\n{body}{sensitivities(main, variant)}"
            f"{_picture(figures, 'savings')}")


def _median(main: Comparison, idle: str, reading: str = "") -> str:
    """Write the median of the GPU-h that the example saves."""
    return rounded(main.saved(HELD, shown(main), idle, reading).p50, "GPU-h")


def sensitivities(main: Comparison, variant: str) -> str:
    """Say what GPU-h saved follow from draw to draw: a row each parameter told from zero."""
    table = main.tables[SENSITIVITY.file]
    mine = table[(table["ledger"] == HELD) & (table["variant"] == variant)]
    mine = mine.dropna(subset=["correlation"])
    rows, rest = [], []
    for name, group in mine.groupby("parameter", sort=False):
        word = f"`{str(name).rsplit('.', 1)[-1]}`"
        found = {str(r["idle"]): r for r in group.to_dict("records") if r["idle"] in _ends(main)}
        if any(_told(row) for row in found.values()):
            cells = {idle_word(i): _correlation(found[i]) if i in found else ""
                     for i in _ends(main)}
            rows.append({"parameter": word} | cells)
        else:
            rest.append(word)
    if not len(mine):
        return ""
    apart = f" Not told from zero: {listed(rest)}." if rest else ""
    line = (
        "\n- **Users and detector:** rank correlation of the GPU-h saved with what differs between "
        "posterior draws, with its 90 % confidence interval; bold where that leaves out zero."
        f"{apart}"
    )
    return f"{line}\n\n{_laid_out(rows)}" if rows else line


def _told(row: Mapping[Hashable, Any]) -> bool:
    """Whether a correlation is told from zero."""
    return bool(row["p05"] > 0.0 or row["p95"] < 0.0)


def _correlation(row: Mapping[Hashable, Any]) -> str:
    text = f"{row['correlation']:+.2f} [{row['p05']:+.2f} to {row['p95']:+.2f}]"
    return f"**{text}**" if _told(row) else text


def _picture(figures: Mapping[str, str], stem: str) -> str:
    """Embed a figure with its table if it was drawn."""
    if stem not in figures:
        return ""
    table = f"{figures[stem].removesuffix('.png')}.csv"
    return f"\n\n![{CAPTIONS[stem]}]({figures[stem]})\n\n{CAPTIONS[stem]} ([table]({table}))"


def _further(figures: Mapping[str, str]) -> str:
    """Link the figures that are no part of the text."""
    links = [f"[{CAPTIONS[stem]}]({figures[stem]})"
             for stem in CAPTIONS if stem in figures and stem not in EMBEDDED]
    return f"Further figures, each beside its table: {', '.join(links)}." if links else ""


def _pays(main: Comparison) -> str:
    """Say who pays: users, by what they lose, and at which price a variant is worth it."""
    variant = shown(main)
    rows = [
        {"idleness": idle}
        | {f"{what} (user-h)": main.change(c, variant, idle) for c, what in COSTS.items()}
        for idle in _ends(main)
    ]  # fmt: skip
    return (
        "## Who pays\n\nUsers. Who is interrupted pays by setting up and computing again; who "
        f"queues gains where waiting falls. What `{variant}` changes:\n\n{_laid_out(rows)}"
    )


def _unchanged(main: Comparison) -> str:
    """Tell empty nodes from idle but held GPUs, in numbers of the baseline."""
    parts = []
    for idle in _ends(main):
        exists, held, unused = (
            main.level(c, main.baseline, idle)
            for c in ("gpu_provisioned", "gpu_allocated", "gpu_idle")
        )
        parts.append(
            f"under {idle_word(idle)} {number(exists)} {EXISTS}, {number(held)} {HELD}, of these "
            f"{number(unused)} idle, and {number(exists - held)} empty"
        )
    return (
        "## What it changes less: machines\n\nIdle but held GPUs, which releases touch, and empty "
        "nodes, which they do not, are different things. GPU-h without a policy, means over "
        f"worlds: {'; '.join(parts)}."
    )


def _other(name: str, other: Comparison) -> str:
    """Lay out a further comparison: what it saves in both ledgers, and costs, at the extremes."""
    rows = [
        {
            "policy": f"`{variant}`", "idleness": idle,
            "GPU-h saved, provisioned": other.saved(EXISTS, variant, idle),
            "GPU-h saved, allocated": other.saved(HELD, variant, idle),
            "interruptions": other.change("interruptions", variant, idle),
        }
        for variant in _leading(other) for idle in _ends(other)
    ]  # fmt: skip
    best = []
    for idle in _ends(other):
        variant = max(other.variants, key=lambda v, i=idle: other.saved(EXISTS, v, i).p50)
        gained = other.saved(EXISTS, variant, idle)
        none = f"no {EXISTS} GPU-h by any of them"
        said = f"{gained} {EXISTS} GPU-h by `{variant}`"
        best.append(f"{none if gained.none else said} under {idle_word(idle)}")
    return (
        f"## What else could be done: `{name}`\n\n{other.facts['question']} The highest medians: "
        f"{listed(best)}.{_left_out(other)}\n\n{_laid_out(rows)}"
    )


def _leading(other: Comparison) -> list[str]:
    """Return the variants that save most provisioned GPU-h where most is idle, in their order."""
    idle = other.idles[-1]
    ranked = sorted(other.variants, key=lambda v: -other.saved(EXISTS, v, idle).p50)
    return [v for v in other.variants if v in ranked[:LEADING]]


def _left_out(other: Comparison) -> str:
    left = len(other.variants) - len(_leading(other))
    shown = f" The {LEADING} that save most {EXISTS} GPU-h under {idle_word(other.idles[-1])}:"
    return shown if left else ""


def _recommends(main: Comparison, others: Mapping[str, Comparison]) -> str:
    lines = [*recommendation(main, HELD), cautious(main, HELD, PRICE)]
    if others:
        names = listed([f"`{name}`" for name in others])
        lines.append(f"For fewer {EXISTS} hours, empty nodes have to go: see {names}.")
    return "## Recommendation\n\n" + "\n".join(f"- {line}" for line in lines if line)
