"""The tables a projection leaves: columns, types, units and meaning, declared once."""

from __future__ import annotations

from sim.records import Column, Table

_DRAW = Column("draw", "int64", "-", "number of the draw within the hypothesis")
_HYPOTHESIS = Column(
    "hypothesis", "str", "-", 'reading of the report, or "averaged" by the stated prior weights'
)
_PERIOD = Column(
    "period", "str", "-", "months, such as M25-M30, or the projected year, such as PY3"
)
_SITE = Column("site", "str", "-", 'site, or "all" for their sum')
_RESOURCE = Column("resource", "str", "-", "gpu, cpu or storage")
_LEDGER = Column("ledger", "str", "-", "provisioned, allocated, active or reported")
_UNIT = Column("unit", "str", "-", "GPU-h, CPU-h or TB-month")

DRAWS = Table(
    "projection_draws.parquet",
    "one quantity of one posterior draw; `history_draws.parquet` has the same for reported periods",
    (
        _DRAW,
        _HYPOTHESIS,
        _PERIOD,
        _SITE,
        _RESOURCE,
        _LEDGER,
        Column("quantity", "float64", "see unit", "simulated quantity of the period"),
        _UNIT,
    ),
)

SUMMARY = Table(
    "projection.csv",
    "the distribution over draws of one quantity",
    (
        _HYPOTHESIS,
        _PERIOD,
        _SITE,
        _RESOURCE,
        _LEDGER,
        _UNIT,
        Column("mean", "float64", "see unit", "mean"),
        Column("sd", "float64", "see unit", "standard deviation"),
        *(
            Column(f"p{q:02d}", "float64", "see unit", f"{q} % quantile")
            for q in (5, 25, 50, 75, 95)
        ),
    ),
)

FIT = Table(
    "fit.csv",
    "one reported figure under one hypothesis (`comparison.csv` of `aiaas run` has the same)",
    (
        _HYPOTHESIS,
        Column("id", "str", "-", "id of the figure in observations.csv, or increment_…"),
        _PERIOD,
        _SITE,
        Column("metric", "str", "-", "usage, training_cycles or application_usage"),
        _RESOURCE,
        _LEDGER,
        _UNIT,
        Column("reported", "float64", "see unit", "reported value"),
        Column("p05", "float64", "see unit", "5 % quantile of the posterior predictive"),
        Column("p50", "float64", "see unit", "median of it"),
        Column("p95", "float64", "see unit", "95 % quantile of it"),
        Column("error_frac", "float64", "share", "median less reported, over reported"),
        Column("inside", "bool", "-", "whether the 90 % interval contains the reported value"),
    ),
)

UNCERTAINTY = Table(
    "uncertainty.csv",
    "one source of the variance of one quantity's logarithm",
    (
        _PERIOD,
        _SITE,
        _RESOURCE,
        Column("source", "str", "-", "parameters, replicates, hypotheses or discrepancy"),
        Column("variance", "float64", "-", "of the natural logarithm of the quantity"),
        Column("share", "float64", "share", "of the sum over the sources"),
    ),
)

EVIDENCE = Table(
    "evidence.csv",
    "one growth law under one hypothesis and priors of one width",
    (
        _HYPOTHESIS,
        Column("law", "str", "-", "growth law"),
        Column("figures", "int64", "-", "number of figures fitted"),
        Column("prior_width", "float64", "-", "standard deviation relative to the stated priors"),
        Column("log_evidence", "float64", "-", "logarithm of the marginal likelihood"),
        Column("log_evidence_sd", "float64", "-", "its Monte Carlo standard error"),
    ),
)

DIRECTIONS = Table(
    "directions.csv",
    "one independent direction of the parameters under one hypothesis",
    (
        _HYPOTHESIS,
        Column("direction", "int64", "-", "1 is the best known"),
        Column("ratio", "float64", "-", "posterior over prior standard deviation along it"),
        Column("share", "float64", "share", "of what the posterior's volume is smaller by, logged"),
        Column("parameters", "str", "-", "the largest weights in it, with sign"),
    ),
)

TABLES = (DRAWS, SUMMARY, FIT, UNCERTAINTY, EVIDENCE, DIRECTIONS)
