"""Turns what configuration libraries complain of into one line of our own."""

from __future__ import annotations

import re

from sim.errors import ConfigError


def explain(error: Exception) -> ConfigError:
    """Return a one-line error for a composition or override that failed.

    Args:
        error: What Hydra or OmegaConf raised.
    """
    text = str(error)
    found = re.search(r"Could not override '([^']+)'", text)
    if found:
        key = found[1]
        part = re.search(r"Key '([^']+)' is not in struct", text)
        valid = re.search(r"object_type=", text)
        if part or valid:
            return ConfigError(
                "unknown key", key, "a key that `aiaas VERB --cfg job` shows",
                part[1] if part else key,
            )
        return ConfigError("cannot be overridden", key, "a value of the right type",
                           _last_line(text))
    found = re.search(r"Could not find '([^']+)'", text)
    if found:
        options = re.findall(r"^\s+(\S+)$", text.partition("Available options")[2], re.MULTILINE)
        group, _, option = found[1].rpartition("/")
        return ConfigError("no such option", group or "configuration", ", ".join(options) or
                           "an option that exists", option, options)
    found = re.search(r"Error parsing override '([^']*)'", text)
    if found:
        return ConfigError("cannot be read as an override", found[1], "key=value",
                           _last_line(text))
    return ConfigError("cannot be composed", "configuration", "keys and values that fit", text)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
