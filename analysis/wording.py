"""Numbers and names as a planner reads them: thousands, intervals, probabilities, dates."""

from __future__ import annotations

import html
import math
import re
from datetime import date

RESOURCE_WORD = {"gpu": "GPU", "cpu": "CPU", "storage": "Storage"}
METRIC_WORD = {
    ("usage", "gpu"): "GPU hours served over the period",
    ("usage", "cpu"): "CPU hours served over the period",
    ("usage", "storage"): "Storage served over the period",
    ("users", "-"): "Number of users",
    ("countries", "-"): "Number of countries reached",
    ("models_developed", "-"): "Number of AI models developed",
    ("models_trained", "-"): "Number of AI models trained",
    ("training_cycles", "-"): "ML training cycles",
    ("application_usage", "-"): "ML application usage cycles",
    ("applications_hosted", "-"): "Number of AI applications hosted",
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LENGTH_WORD = {1: "month", 3: "quarter", 6: "half-year", 12: "year"}


def thousands(value: float, significant: int | None = None) -> str:
    """Write a number with thousands separators; not a number becomes the empty text.

    Args:
        value: Any number.
        significant: Digits kept; all that a whole number has, and three of a fraction, when None.

    >>> thousands(183262), thousands(152345.6, 3), thousands(0.1234), thousands(float("nan"))
    ('183,262', '152,000', '0.123', '')
    """
    if math.isnan(value):
        return ""
    if value == 0 or (significant is None and float(value).is_integer()):
        return f"{value + 0.0:,.0f}"
    digits = (significant or 3) - 1 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits if significant else max(digits, 0))
    text = f"{rounded:,.{max(digits, 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def interval(p50: float, p05: float, p95: float) -> str:
    """Write a median with its 90 % interval, three digits each.

    >>> interval(152345, 98765, 231234)
    '152,000 [98,800 - 231,000]'
    """
    return f"{thousands(p50, 3)} [{thousands(p05, 3)} - {thousands(p95, 3)}]"


def percent(probability: float) -> str:
    """Write a probability estimated from draws; never certain.

    >>> percent(0.0), percent(0.674), percent(1.0)
    ('under 1 %', '67 %', 'over 99 %')
    """
    if probability < 0.01:
        return "under 1 %"
    if probability > 0.99:
        return "over 99 %"
    return f"{100 * probability:.0f} %"


def month_and_year(day: date) -> str:
    """Write a month as the report's headers do.

    >>> month_and_year(date(2025, 2, 1))
    'Feb 2025'
    """
    return f"{_MONTHS[day.month - 1]} {day.year}"


def period_word(period: str) -> str:
    """Write a period; one of a single month is that month.

    >>> period_word("M5-M5"), period_word("M1-M6"), period_word("PY3")
    ('M5', 'M1-M6', 'PY3')
    """
    first, _, last = period.partition("-")
    return first if first == last else period


def length_word(months: int) -> str:
    """Name a length of time in months.

    >>> length_word(6), length_word(4)
    ('half-year', 'period of 4 months')
    """
    return _LENGTH_WORD.get(months, f"period of {months} months")


def resource_word(resource: str) -> str:
    """Name a resource at the start of a sentence."""
    return RESOURCE_WORD.get(resource, resource)


def metric_word(metric: str, resource: str) -> str:
    """Name a metric as a row of a table."""
    known = METRIC_WORD.get((metric, resource)) or METRIC_WORD.get((metric, "-"))
    return known or metric.replace("_", " ").capitalize()


def under(hypothesis: str) -> str:
    """Say in a sentence which hypothesis is meant.

    >>> under("averaged"), under("site")
    ('averaged over the hypotheses', 'under `site`')
    """
    return "averaged over the hypotheses" if hypothesis == "averaged" else f"under `{hypothesis}`"


def slug(name: str) -> str:
    """Turn a title into the stem of a file.

    >>> slug("2.4.1 IFCA-CSIC GPU")
    '2.4.1_ifca-csic_gpu'
    """
    return re.sub(r"[^a-z0-9.\-]+", "_", name.lower()).strip("_.")


def escaped(text: str) -> str:
    r"""Return a name from outside so that markdown and HTML show it and do nothing else.

    >>> print(escaped("<b>|a_b"))
    &lt;b&gt;\|a\_b
    """
    plain = "".join(c if c.isprintable() else " " for c in text)
    return html.escape(re.sub(r"([\\`*_\[\]#|~])", r"\\\1", plain), quote=False)
