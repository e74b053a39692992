"""The tables `aiaas compare` leaves: columns, types, units and meaning, declared once."""

from __future__ import annotations

from sim.records import Column, Table

_VARIANT = Column("variant", "str", "-", "variant of the scenario")
_IDLE = Column("idle", "str", "-", "prior of idleness, or posterior for idleness as calibrated")
_HYPOTHESIS = Column(
    "hypothesis", "str", "-", 'reading of the report, or "averaged" by the stated prior weights'
)
_SITE = Column("site", "str", "-", 'site, or "all" for the federation')
_CRITERION = Column("criterion", "str", "-", "see the list of criteria")
_UNIT = Column("unit", "str", "-", "unit of the quantity")
_LEDGER = Column("ledger", "str", "-", "ledger whose GPU-h are saved: provisioned or allocated")
_PRICE = Column("price", "float64", "GPU-h", "what an interruption is taken to cost")
_DRAW = Column("draw", "int64", "-", "number of the posterior draw within the hypothesis")


def _f(name: str, unit: str, meaning: str) -> Column:
    return Column(name, "float64", unit, meaning)


def _spread(prefix: str, unit: str, of: str) -> tuple[Column, ...]:
    """Return mean, median and 90 % interval over worlds of something."""
    return (
        _f(f"{prefix}mean", unit, f"mean over worlds of {of}"),
        _f(f"{prefix}p05", unit, "5 % quantile over worlds"),
        _f(f"{prefix}p50", unit, "median over worlds"),
        _f(f"{prefix}p95", unit, "95 % quantile over worlds"),
    )


_HALF = _f("half_width", "see unit", "half-width of the 90 % confidence interval of the mean")

VARIANTS = Table(
    "variants.csv",
    "one variant, in the scenario's order",
    (
        _VARIANT,
        Column("baseline", "bool", "-", "whether the others are compared with it"),
        Column("series", "str", "-", "curve that it belongs to; may be empty"),
        _f("at", "see the scenario's axis", "where it lies on the axis"),
    ),
)

RUNS = Table(
    "runs.parquet",
    "one criterion of one variant in one world, in the months to come",
    (
        _VARIANT, _IDLE, _HYPOTHESIS, _DRAW,
        Column("replicate", "int64", "-", "replicate of the draw, from 0"),
        _SITE, _CRITERION, _f("quantity", "see unit", "its value; missing where there is none"),
        _UNIT,
    ),
)  # fmt: skip

DRAWN = Table(
    "drawn.csv",
    "one value drawn for the worlds of a posterior draw and a prior of idleness",
    (
        _IDLE, _HYPOTHESIS, _DRAW,
        Column("parameter", "str", "-",
               "idle_share (of held GPU time, asked for) or the path of a policy's parameter"),
        _f("value", "see unit", "value"), _UNIT,
    ),
)  # fmt: skip

WORLDS = Table(
    "worlds.csv",
    "one period of the baseline's worlds under one prior of idleness: did the totals stay",
    (
        _IDLE, _HYPOTHESIS,
        Column("period", "str", "-", "the last reported period, or the months to come"),
        *_spread("wanted_", "share", "the idle share of held GPU time asked for"),
        *_spread("idle_share_", "share", "the simulated one"),
        *_spread("gpu_h_", "GPU-h", "the simulated allocated GPU hours"),
        _f("calibrated_idle_share_p50", "share",
           "median of the simulated idle share with idleness as calibrated"),
        _f("calibrated_gpu_h_p50", "GPU-h", "the same of the allocated GPU hours"),
        _f("ratio", "-", "mean allocated GPU hours, over those with idleness as calibrated"),
        _f("reported_gpu_h", "GPU-h",
           "what the reading takes as allocated for all sites; missing where nothing was reported"),
    ),
)  # fmt: skip

LEVELS = Table(
    "levels.csv",
    "one criterion of one variant in the months to come",
    (_IDLE, _HYPOTHESIS, _SITE, _VARIANT, _CRITERION, _UNIT,
     *_spread("", "see unit", "the criterion"), _HALF),
)  # fmt: skip

DIFFERENCES = Table(
    "differences.csv",
    "the difference of one criterion between a variant and the baseline in the same worlds",
    (_IDLE, _HYPOTHESIS, _SITE, _VARIANT, _CRITERION, _UNIT,
     Column("measure", "str", "-",
            "difference (variant less baseline) or percent (of the baseline; the mean is that of "
            "the difference over that of the baseline; worlds without any are left out)"),
     *_spread("", "see unit", "it"), _HALF),
)  # fmt: skip

BETTER = Table(
    "better.csv",
    "one criterion of two variants, all sites",
    (
        _IDLE, _HYPOTHESIS, _CRITERION,
        Column("a", "str", "-", "variant"), Column("b", "str", "-", "another variant"),
        _f("probability", "probability", "share of worlds in which a is better than b"),
        _f("tied", "probability", "share of worlds in which they are equal"),
    ),
)  # fmt: skip

REGRET = Table(
    "regret.csv",
    "one variant at one price: net benefit = GPU-h saved - price x additional interruptions",
    (
        _IDLE, _HYPOTHESIS, _LEDGER, _PRICE, _VARIANT,
        *_spread("benefit_", "GPU-h", "the net benefit against the baseline"),
        _f("regret_mean", "GPU-h", "mean of what the best variant of the world does better"),
        _f("regret_p95", "GPU-h", "95 % quantile of it over worlds"),
        _f("half_width", "GPU-h", "half-width of the 90 % confidence interval of regret_mean"),
        _f("best", "probability", "share of worlds in which it is best (shared among equals)"),
    ),
)  # fmt: skip

PRICES = Table(
    "prices.csv",
    "one range of prices in which one variant has the highest expected net benefit",
    (
        _IDLE, _HYPOTHESIS, _LEDGER, _VARIANT,
        _f("from_price", "GPU-h", "lower end of the range, per interruption"),
        _f("to_price", "GPU-h", "upper end; inf for the last"),
        _f("saved", "GPU-h", "its expected GPU-h saved"),
        _f("interruptions", "deployments", "its expected additional interruptions"),
    ),
)  # fmt: skip

FRONT = Table(
    "front.csv",
    "one variant's GPU-h saved and cost to users, both against the baseline",
    (
        _IDLE, _HYPOTHESIS, _LEDGER, _VARIANT,
        *_spread("saved_", "GPU-h", "GPU-h saved"),
        *_spread("user_h_", "user-h",
                 "the additional cost to users: waiting, set-up and lost computing"),
        Column("on_front", "bool", "-",
               "whether no other variant is at least as good in both means and better in one"),
        _f("probability", "probability", "share of worlds in which it is on the world's front"),
    ),
)  # fmt: skip

SENSITIVITY = Table(
    "sensitivity.csv",
    "one parameter and the GPU-h that one variant saves, over posterior draws",
    (
        _IDLE, _LEDGER, _VARIANT,
        Column("parameter", "str", "-",
               "path of a policy's parameter, or idle_share (the baseline's, simulated)"),
        _f("correlation", "-", "Spearman's rank correlation with the GPU-h saved"),
        _f("p05", "-", "5 % confidence limit of it (Fisher's transformation)"),
        _f("p95", "-", "95 % confidence limit"),
        Column("draws", "int64", "-", "number of draws"),
    ),
)  # fmt: skip

PAIRING = Table(
    "pairing.csv",
    "two variants: what playing them in the same worlds is worth",
    (
        _IDLE, _CRITERION,
        Column("a", "str", "-", "variant"), Column("b", "str", "-", "another variant"),
        Column("pair", "str", "-", "neighbours (in the scenario's order) or baseline"),
        Column("basis", "str", "-",
               "within draws (between replicates of a draw, pooled) or over draws (all worlds of a "
               "reading, pooled)"),
        _f("unpaired", "unit squared", "variance of the difference in worlds of their own: "
           "var(a) + var(b)"),
        _f("paired", "unit squared", "variance of the difference in the same worlds: var(a - b)"),
        _f("ratio", "-", "unpaired over paired; inf where the paired difference does not vary"),
    ),
)  # fmt: skip

PRECISION = Table(
    "precision.csv",
    "one variant: how well its mean difference in allocated GPU-h is known",
    (
        _IDLE, _VARIANT,
        Column("replicates", "int64", "-", "replicates of each draw that were played"),
        _f("half_width", "share",
           "half-width of the 90 % confidence interval of the mean paired difference, over the "
           "baseline's mean"),
        _f("floor", "share", "what of it more draws would lower and more replicates would not"),
        _f("asked", "share", "half-width asked for; missing if none was"),
        Column("reached", "bool", "-", "whether it was reached; true if none was asked for"),
    ),
)  # fmt: skip

MONTHLY = Table(
    "monthly.csv",
    "the mean number of GPUs of one ledger in one month, all sites",
    (
        _IDLE, _HYPOTHESIS, _VARIANT,
        Column("month", "int64", "-", "project month, 1 is M1"),
        Column("ledger", "str", "-", "provisioned, allocated or active"),
        *_spread("", "GPU", "the number of GPUs"),
    ),
)  # fmt: skip

WAITS = Table(
    "waits.csv",
    "requests with GPUs that started in the months to come and waited so long",
    (
        _IDLE, _HYPOTHESIS, _VARIANT,
        _f("from_h", "h", "shortest wait of the bin (included)"),
        _f("to_h", "h", "longest (not included); inf for the last bin"),
        _f("requests", "requests", "mean number over worlds"),
        _f("share", "share", "of all of them"),
    ),
)  # fmt: skip

TABLES = (
    VARIANTS, RUNS, DRAWN, WORLDS, LEVELS, DIFFERENCES, BETTER, REGRET, PRICES, FRONT,
    SENSITIVITY, PAIRING, PRECISION, MONTHLY, WAITS,
)  # fmt: skip
