"""Turns what configuration libraries complain of into one line of our own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sim.errors import ConfigError


def explain(error: Exception, valid: Callable[[], Any] = dict) -> ConfigError:
    """Return a one-line error for a composition or override that failed.

    Args:
        error: What Hydra or OmegaConf raised.
        valid: Returns a configuration that composes, for the names that exist.
    """
    text = str(error)
    found = re.search(r"Could not override '([^']+)'", text)
    if found:
        key = found[1]
        wrong, names = _first_missing(valid(), key)
        if wrong is not None:
            return ConfigError(
                "unknown key", key, "a key that `aiaas VERB --cfg job` shows", wrong, names
            )
        return ConfigError(
            "cannot be overridden", key, "a value of the right type", _last_line(text)
        )
    found = re.search(r"Could not find '([^']+)'", text)
    if found:
        options = re.findall(r"^\s+(\S+)$", text.partition("Available options")[2], re.MULTILINE)
        group, _, option = found[1].rpartition("/")
        return ConfigError(
            "no such option",
            group or "configuration",
            ", ".join(options) or "an option that exists",
            option,
            options,
        )
    found = re.search(r"Error parsing override '([^']*)'", text)
    if found:
        return ConfigError("cannot be read as an override", found[1], "key=value", _last_line(text))
    return ConfigError("cannot be composed", "configuration", "keys and values that fit", text)


def _first_missing(config: Any, key: str) -> tuple[str | None, list[str]]:
    """Return the first part of a dotted key that does not exist, and the names that do there."""
    for part in key.split("."):
        if not hasattr(config, "keys"):
            return None, []
        if part not in config:
            return part, [str(name) for name in config]
        config = config[part]
    return None, []


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
