"""The transcription of the reference report against literals typed from it a second time."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from analysis.observations import contradictions, increments, load_observations

SCENARIOS = Path(__file__).parents[2] / "scenarios"
BLANK = math.nan

# (table, installation) -> metric -> (baseline, M13-M18, M19-M24); order and digits of the report
INSTALLATIONS: dict[tuple[str, str], dict[str, tuple[float, float, float]]] = {
    ("2.1.1", "T4.1"): {
        "models_developed": (30, 12, 14),
        "models_trained": (500, 12, 14),
        "training_cycles": (4_000_000, 166_296, 509_435),
        "countries": (10, 12, 12),
    },
    ("2.2.1", "T4.2"): {
        "application_usage": (0, 1, 33),
        "applications_hosted": (15, 2, 3),
        "countries": (0, 3, 4),
    },
    ("2.3.1", "IFCA-CSIC CPU"): {
        "usage": (3_000_000, 674_850, 1_247_363),
        "countries": (9, 12, 12),
        "users": (200, 55, 64),
    },
    ("2.4.1", "IFCA-CSIC GPU"): {
        "usage": (1_000_000, 14_808, 57_316.00),
        "countries": (9, 12, 12),
        "users": (200, 55, 64),
    },
    ("2.5.1", "IFCA-CSIC Storage"): {
        "countries": (9, 12, 12),
        "users": (200, 55, 64),
        "usage": (1_000, 30, 400),
    },
    ("2.6.1", "INCD CPU"): {
        "usage": (3_900_000, 408_513, 1_143_754),
        "countries": (2, 12, 12),
        "users": (50, 55, 55),
    },
    ("2.7.1", "INCD GPU"): {
        "usage": (15_000, 0, 1_752),
        "countries": (2, 0, 12),
        "users": (50, 0, 64),
    },
    ("2.8.1", "INCD Storage"): {
        "countries": (2, 12, 12),
        "users": (50, 55, 64),
        "usage": (100, 8, 23),
    },
    ("2.9.1", "TR-FC1-ULAKBIM"): {
        "usage": (29_433.6, BLANK, 19_396),
        "countries": (1, BLANK, 12),
        "users": (269, BLANK, 64),
    },
    ("2.10.1", "WaltonCloud CPU"): {
        "usage": (11_586_723, BLANK, 60_089),
        "countries": (0, BLANK, 12),
        "users": (105, BLANK, 54),
    },
    ("2.11.1", "WaltonCloud Storage"): {
        "countries": (0, BLANK, 0),
        "users": (105, BLANK, 0),
        "usage": (1_188, BLANK, 0),
    },
}
# resource -> (unit, budget, used by M6, M12, M18, M24); table 2.12
SUMMARY: dict[str, tuple[str, float, float, float, float, float]] = {
    "storage": ("TB-month", 1_500, 0, 34, 72, 495),
    "gpu": ("GPU-h", 132_000, 10_800, 14_400, 104_798, 183_262),
    "cpu": ("CPU-h", 6_000_000, 94_656, 662_547, 1_745_910, 4_197_116),
}
EXECUTIVE_SUMMARY = {"cpu": 4_197_116, "gpu": 183_262, "storage": 495}
UNIT_OF = {"gpu": "GPU-h", "cpu": "CPU-h", "storage": "TB-month"}
MIXED = {"training_cycles": "allocated", "application_usage": "active"}

CELLS = [
    (table, installation, metric, period, value)
    for (table, installation), metrics in INSTALLATIONS.items()
    for metric, (baseline, first, second) in metrics.items()
    for metric, period, value in [
        (f"baseline_{metric}", "-", baseline), (metric, "M13-M18", first),
        (metric, "M19-M24", second),
    ]
] + [
    ("2.12", "all", f"{metric}/{resource}", period, value)
    for resource, (_, *values) in SUMMARY.items()
    for (metric, period), value in zip(
        [("budget", "M1-M36"), ("cumulative", "M1-M6"), ("cumulative", "M1-M12"),
         ("cumulative", "M1-M18"), ("cumulative", "M1-M24")],
        values, strict=True,
    )
]


@pytest.fixture(scope="module")
def figures() -> pd.DataFrame:
    """Return the shipped transcription."""
    return load_observations(SCENARIOS / "imagine" / "observations.csv")


def expected_resource(installation: str, metric: str) -> str:
    """Return the resource that a row of the report counts, '-' for users, countries and mixes."""
    if "/" in metric:
        return metric.split("/")[1]
    if not metric.endswith("usage") or installation == "T4.2":
        return "-"
    if installation == "TR-FC1-ULAKBIM":
        return "gpu"
    return installation.split()[1].lower()


def expected_unit(installation: str, metric: str) -> str:
    """Return the unit of a row of the report."""
    if metric.removeprefix("baseline_") in MIXED:
        return "CPU-h+GPU-h"
    return UNIT_OF.get(expected_resource(installation, metric), "count")


@pytest.mark.parametrize(
    ("table", "installation", "metric", "period", "value"), CELLS,
    ids=[f"{c[0]}-{c[1]}-{c[2]}-{c[3]}".replace(" ", "_") for c in CELLS],
)
def test_each_figure_is_the_one_printed(
    figures: pd.DataFrame, table: str, installation: str, metric: str, period: str, value: float
) -> None:
    """A figure was mistyped, lost, or stands in the wrong table, period or unit."""
    name = metric.split("/")[0]
    resource = expected_resource(installation, metric)
    found = figures[
        (figures["table"] == table) & (figures["installation"] == installation)
        & (figures["metric"] == name) & (figures["resource"] == resource)
        & (figures["period"] == period)
    ]
    assert len(found) == 1
    row = found.iloc[0]
    if math.isnan(value):
        assert math.isnan(row["value"])
    else:
        assert row["value"] == value
    assert row["unit"] == expected_unit(installation, metric)


def test_there_is_no_figure_that_the_report_does_not_print(figures: pd.DataFrame) -> None:
    """A row was invented, or one of the report's 117 cells is missing."""
    assert len(CELLS) == 117
    assert len(figures) == 117
    assert Counter(figures["table"]) == {
        "2.1.1": 12, "2.2.1": 9, "2.3.1": 9, "2.4.1": 9, "2.5.1": 9, "2.6.1": 9, "2.7.1": 9,
        "2.8.1": 9, "2.9.1": 9, "2.10.1": 9, "2.11.1": 9, "2.12": 15,
    }


def test_blank_cells_stay_blank(figures: pd.DataFrame) -> None:
    """A blank cell became a zero, or another figure was lost."""
    blank = figures[figures["value"].isna()]
    assert set(blank["id"]) == {
        "trfc1_gpu_m13_m18", "trfc1_gpu_countries_m13_m18", "trfc1_gpu_users_m13_m18",
        "walton_cpu_m13_m18", "walton_cpu_countries_m13_m18", "walton_cpu_users_m13_m18",
        "walton_storage_m13_m18", "walton_storage_countries_m13_m18",
        "walton_storage_users_m13_m18",
    }


def test_printed_zeros_stay_zeros(figures: pd.DataFrame) -> None:
    """A zero that the report prints was taken for a blank."""
    zero = figures[(figures["value"] == 0) & ~figures["metric"].str.startswith("baseline_")]
    assert set(zero["id"]) == {
        "incd_gpu_m13_m18", "incd_gpu_countries_m13_m18", "incd_gpu_users_m13_m18",
        "walton_storage_m19_m24", "walton_storage_countries_m19_m24",
        "walton_storage_users_m19_m24", "cumulative_storage_m6",
    }


@pytest.mark.parametrize(
    ("resource", "period", "total", "site_values"),
    [
        ("cpu", "M13-M18", 1_083_363, [674_850, 408_513]),
        ("cpu", "M19-M24", 2_451_206, [1_247_363, 1_143_754, 60_089]),
        ("storage", "M13-M18", 38, [30, 8]),
        ("storage", "M19-M24", 423, [400, 23, 0]),
        ("gpu", "M19-M24", 78_464, [57_316, 1_752, 19_396]),
    ],
)
def test_sums_that_agree(
    figures: pd.DataFrame, resource: str, period: str, total: float, site_values: list[float]
) -> None:
    """The sites no longer add up to the increment of the cumulative table where they should."""
    assert sum(site_values) == total
    sites = figures[
        (figures["metric"] == "usage") & (figures["resource"] == resource)
        & (figures["period"] == period)
    ]["value"].dropna()
    assert sorted(sites) == sorted(site_values)
    found = contradictions(figures).set_index(["resource", "period"]).loc[(resource, period)]
    columns = ["cumulative_increment", "site_sum", "difference"]
    assert found[columns].tolist() == [total, total, 0]


def test_the_sum_that_does_not_agree(figures: pd.DataFrame) -> None:
    """The one contradiction between the tables was repaired, or another one crept in."""
    table = contradictions(figures)
    away = table[table["difference"] != 0]
    assert list(away.columns) == [
        "resource", "period", "cumulative_increment", "site_sum", "difference", "blank_sites",
        "unit",
    ]
    assert away.to_numpy().tolist() == [
        ["gpu", "M13-M18", 90_398, 14_808, 75_590, "TR-FC1-ULAKBIM", "GPU-h"]
    ]


def test_increments_of_the_cumulative_table(figures: pd.DataFrame) -> None:
    """A half-year's consumption is not the difference of the two printed totals around it."""
    steps = increments(figures)
    assert list(steps.columns) == ["period", "resource", "quantity", "unit"]
    found = {
        resource: dict(zip(mine["period"], mine["quantity"], strict=True))
        for resource, mine in steps.groupby("resource")
    }
    assert found == {
        "storage": {"M1-M6": 0, "M7-M12": 34, "M13-M18": 38, "M19-M24": 423},
        "gpu": {"M1-M6": 10_800, "M7-M12": 3_600, "M13-M18": 90_398, "M19-M24": 78_464},
        "cpu": {"M1-M6": 94_656, "M7-M12": 567_891, "M13-M18": 1_083_363, "M19-M24": 2_451_206},
    }


@pytest.mark.parametrize("resource", list(EXECUTIVE_SUMMARY))
def test_executive_summary_calls_the_24_month_total_this_period(
    figures: pd.DataFrame, resource: str
) -> None:
    """The total that the summary calls `this period` is not known to be that of 24 months."""
    row = figures.set_index("id").loc[f"cumulative_{resource}_m24"]
    assert row["value"] == EXECUTIVE_SUMMARY[resource]
    assert row["period"] == "M1-M24"
    assert "'this period'" in row["note"]


@pytest.mark.parametrize(
    ("figure", "ledger"),
    [
        ("ifca_cpu_m13_m18", "provisioned"), ("ifca_cpu_m19_m24", "provisioned"),
        ("incd_cpu_m13_m18", "provisioned"), ("incd_cpu_m19_m24", "provisioned"),
        ("walton_cpu_m13_m18", "provisioned"), ("walton_cpu_m19_m24", "provisioned"),
        ("ifca_storage_m13_m18", "provisioned"), ("ifca_storage_m19_m24", "provisioned"),
        ("incd_storage_m13_m18", "provisioned"), ("incd_storage_m19_m24", "provisioned"),
        ("walton_storage_m13_m18", "provisioned"), ("walton_storage_m19_m24", "provisioned"),
        ("ifca_gpu_m13_m18", "by_hypothesis"), ("ifca_gpu_m19_m24", "allocated"),
        ("incd_gpu_m13_m18", "by_hypothesis"), ("incd_gpu_m19_m24", "allocated"),
        ("trfc1_gpu_m13_m18", "by_hypothesis"), ("trfc1_gpu_m19_m24", "allocated"),
        ("t41_training_m13_m18", "allocated"), ("t41_training_m19_m24", "allocated"),
        ("t42_usage_m13_m18", "active"), ("t42_usage_m19_m24", "active"),
        *((f"cumulative_gpu_m{month}", "by_hypothesis") for month in (6, 12, 18, 24)),
        *((f"cumulative_cpu_m{month}", "provisioned") for month in (6, 12, 18, 24)),
        *((f"cumulative_storage_m{month}", "provisioned") for month in (6, 12, 18, 24)),
    ],
)
def test_each_measured_figure_names_its_ledger(
    figures: pd.DataFrame, figure: str, ledger: str
) -> None:
    """A figure is taken to measure another ledger than the design says."""
    assert figures.set_index("id").loc[figure, "ledger"] == ledger


def test_all_else_has_no_ledger(figures: pd.DataFrame) -> None:
    """A count, baseline or budget claims to measure a ledger, or a measured figure was missed."""
    measured = {"usage", "cumulative", *MIXED}
    has_ledger = figures["ledger"] != "-"
    assert set(figures.loc[has_ledger, "metric"]) == measured
    assert int(has_ledger.sum()) == 18 + 4 + 12


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        ("ifca_gpu_m13_m18", "75,590 GPU-h are attributed to nobody"),
        ("cumulative_gpu_m18", "75,590 GPU-h are attributed to nobody"),
        ("trfc1_gpu_m13_m18", "Blank and not zero"),
        ("t41_training_m13_m18", "Adds CPU-h and GPU-h together"),
        ("t41_training_m19_m24", "Adds CPU-h and GPU-h together"),
        ("trfc1_gpu_m19_m24", "nodes with 4 GPUs (V100) but summed as GPU-h"),
        ("cumulative_gpu_m6", "15 x 720"),
        ("cumulative_gpu_m12", "20 x 720"),
        ("ifca_gpu_users_m13_m18", "Members of the virtual organisation"),
        ("incd_cpu_users_m19_m24", "Members of the virtual organisation"),
        ("trfc1_gpu_users_m19_m24", "members of the virtual organisation"),
        ("t42_usage_m13_m18", "Dates of T4.2"),
        ("t42_usage_m19_m24", "Dates of T4.2"),
        ("ifca_storage_baseline", "'1 PB'"),
        ("incd_gpu_baseline", "'> 15000'"),
        ("incd_storage_baseline", "'> 100'"),
        ("ifca_storage_users_baseline", "'> 200'"),
        ("ifca_cpu_baseline", "'3M'"),
        ("ifca_gpu_baseline", "'1M'"),
        ("t41_training_baseline", "'4.000.000'"),
    ],
)
def test_traps_are_noted_where_they_lie(figures: pd.DataFrame, figure: str, words: str) -> None:
    """A reader of the row would not learn of the trap, or of the wording behind the number."""
    assert words in figures.set_index("id").loc[figure, "note"]


@pytest.mark.parametrize(("total", "times"), [(10_800, 15), (14_400, 20), (3_600, 5)])
def test_early_gpu_figures_are_multiples_of_720(total: int, times: int) -> None:
    """The arithmetic of the note on estimates is wrong."""
    assert total == times * 720


@pytest.mark.parametrize(
    ("training", "infrastructure", "percent"),
    [
        (166_296, 1_083_363 + 14_808, 15.1),
        (166_296, 1_083_363 + 90_398, 14.2),
        (509_435, 2_451_206 + 78_464, 20.1),
    ],
)
def test_training_is_a_fifth_of_the_hours_at_most(
    training: int, infrastructure: int, percent: float
) -> None:
    """The share of the infrastructure's hours in the notes and the README is wrong."""
    assert round(100 * training / infrastructure, 1) == percent


def test_tiny_federation_agrees_with_itself() -> None:
    """The made-up federation contradicts itself, which would confuse every example."""
    tiny = load_observations(SCENARIOS / "tiny" / "observations.csv")
    assert Counter(tiny["metric"]) == {
        "usage": 6, "training_cycles": 1, "application_usage": 1, "budget": 3, "cumulative": 3
    }
    assert contradictions(tiny)["difference"].tolist() == [0, 0, 0]
