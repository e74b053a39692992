"""The console script `aiaas`: every verb is a Hydra application with its own primary config.

Everything is composed and checked before anything is written; a wrong key, type, value or file
ends with exit code 2 and one line.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import reduce
from keyword import iskeyword
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import hydra
from hydra import compose, initialize_config_module
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from analysis import own_policies, scenarios
from analysis.complaints import explain
from analysis.federations import packaged, policies_of, register
from analysis.progress import say
from analysis.stopping import stop_if_asked
from analysis.warmup import compile_kernel
from sim.errors import AiaasError, ConfigError

VERBS = {
    "run": "play one or more replicates and compare them with the reported figures",
    "validate": "check configuration and data and estimate the effort, without running",
    "calibrate": "fit the parameters to the reported figures and keep posterior draws",
    "project": "project the months to come from posterior draws, with tables and figures",
    "compare": "play the variants of a scenario in the same worlds and set them side by side",
    "import": "read accounting exports (FORMAT FILE…) into two tables with a report",
    "export": "write a simulated run as ai4-accounting snapshots and as SWF",
    "init": "write the folder of a new federation (NAME), also from data= of an import",
}
KEEPING = ("run", "calibrate", "project", "compare")  # go on from what was finished
PLAYING = (*KEEPING, "export")  # clusters of serving
USAGE = (
    "usage: aiaas VERB [key=value …] [-m]\n\n"
    + "\n".join(f"  {verb:<10} {what}" for verb, what in VERBS.items())
    + "\n\n`aiaas VERB --help` shows the configuration of a verb."
)


def run(arguments: Sequence[str]) -> int:
    """Run a verb; returns the exit code.

    0 done, 2 bad input, 130 interrupted, 141 nobody reads what is printed (`aiaas … | head`).
    """
    try:
        if not arguments or arguments[0] in ("-h", "--help", "help"):
            print(USAGE)
            code = 0 if arguments else 2
        else:
            code = _run_verb(arguments[0], list(arguments[1:]))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        return _unread()
    except AiaasError as error:
        say(f"aiaas: {error}")
        return 2
    except KeyboardInterrupt:
        kept = "what was finished is kept, the same command goes on from there"
        say(f"aiaas: interrupted; {kept if arguments[0] in KEEPING else 'nothing was finished'}")
        return 130


def _unread() -> int:
    """Print nothing any more, because whoever read it has gone; returns the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


def _run_verb(verb: str, arguments: list[str]) -> int:
    if verb not in VERBS:
        raise ConfigError("unknown verb", "aiaas", ", ".join(VERBS), verb, VERBS)
    for folder in packaged().values():
        register(folder)
    for path in scenarios.packaged().values():
        scenarios.register(path)
    module = importlib.import_module(f"analysis.verbs.{verb}{'_' if iskeyword(verb) else ''}")
    if hasattr(module, "rewritten"):  # a verb that takes more than overrides
        rewritten = module.rewritten(arguments)
        if rewritten is None:
            return 0
        arguments = rewritten
    else:
        shared = (_own_federation, _own_scenario, _own_policy, _with_defaults)
        chosen = _own_policies(arguments)
        arguments = [reduce(lambda a, change: change(a), shared, a) for a in arguments] + chosen
    overrides, ready = [a for a in arguments if not a.startswith("-")], None
    if not any(
        a in ("--help", "-h", "--hydra-help", "--info", "-i", "--version")
        or a.startswith(("--cfg", "-c", "--info"))
        for a in arguments
    ):
        for job in _jobs(overrides, multirun=_is_multirun(arguments)):
            config = composed(verb, job)
            ready = config, module.prepare(config)
        if verb in PLAYING:
            compile_kernel()
    return _through_hydra(verb, module, arguments, None if _is_multirun(arguments) else ready)


def _is_multirun(arguments: Sequence[str]) -> bool:
    return any(a in ("-m", "--multirun") for a in arguments)


def _own_federation(argument: str) -> str:
    """Register a folder given as `federation=PATH` and name it instead."""
    key, _, value = argument.partition("=")
    if key != "federation" or not ("/" in value or Path(value).is_dir()):
        if key == "federation" and "," not in value and value not in packaged():
            raise ConfigError(
                "unknown federation",
                "federation",
                f"{', '.join(packaged())} or the path of a folder",
                value,
                packaged(),
            )
        return argument
    return f"federation={register(Path(value))}"


def _own_policies(arguments: Sequence[str]) -> list[str]:
    """Return the policies of a federation given as `federation=PATH`, where nothing else is said.

    A sweep over federations keeps to the policies of all.
    """
    keys = [a.partition("=")[0].lstrip("+") for a in arguments]
    given = [a.partition("=")[2] for a in arguments if a.startswith("federation=")]
    if len(given) != 1 or not Path(given[0]).is_dir():
        return []
    told = policies_of(Path(given[0]))
    return [f"policy/{k}={name}" for k, name in told.items() if f"policy/{k}" not in keys]


def _own_scenario(argument: str) -> str:
    """Register files given as `scenario=PATH` (or several, for a sweep) and name them instead."""
    key, _, values = argument.partition("=")
    if key != "scenario":
        return argument
    known, names = scenarios.packaged(), []
    for value in values.split(","):
        if value.endswith((".yaml", ".yml")):
            names.append(scenarios.register(Path(value)))
        elif value in known:
            names.append(value)
        else:
            expected = f"{', '.join(known)} or the path of a YAML file"
            raise ConfigError("unknown scenario", "scenario", expected, value, known)
    return f"scenario={','.join(names)}"


def _own_policy(argument: str) -> str:
    """Register a file given as `policy/KIND=PATH` and name it instead."""
    group, _, value = argument.partition("=")
    if not group.startswith("policy/") or "," in value or not value.endswith((".yaml", ".yml")):
        return argument
    return f"{group}={own_policies.register(group.removeprefix('policy/'), Path(value))}"


def _with_defaults(argument: str) -> str:
    """Let an override set a value of the federation that its YAML leaves at the default.

    Hydra knows only the keys that are written down; what no entity has is refused when the
    federation is built.
    """
    return f"++{argument}" if argument.startswith("federation.") else argument


def _jobs(overrides: list[str], multirun: bool) -> list[list[str]]:
    """Return the overrides of every job of a sweep."""
    try:
        parsed = OverridesParser.create().parse_overrides(overrides)
    except HydraException as error:
        raise explain(error) from None
    if not multirun:
        return [overrides]
    return [list(job) for batch in BasicSweeper.split_arguments(parsed, None) for job in batch]


def composed(verb: str, overrides: list[str]) -> DictConfig:
    """Return the configuration of a verb with its overrides.

    Raises:
        ConfigError: When it cannot be composed.
    """
    chosen = [o for o in overrides if o.startswith("federation=")]
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("conf", version_base="1.3"):
            try:
                config = compose(verb, overrides=overrides)
                OmegaConf.resolve(config)
                return config
            except (HydraException, OmegaConfBaseException) as error:
                raise explain(error, lambda: compose(verb, overrides=chosen)) from None
    finally:
        GlobalHydra.instance().clear()


def _through_hydra(
    verb: str, module: Any, arguments: list[str], ready: tuple[DictConfig, Any] | None = None
) -> int:
    """Hand over to Hydra; returns the worst exit code of its jobs, which Hydra drops.

    What is `ready` (a configuration and what was prepared from it) is not prepared again. Each job
    leaves its code in a file of its own, because launchers may run it in another process.
    """
    with TemporaryDirectory(prefix="aiaas-") as codes:

        def task(config: DictConfig) -> None:
            stop_if_asked()
            known = ready is not None and ready[0] == config
            code = _guarded(
                lambda: module.execute(ready[1] if ready and known else module.prepare(config))
            )
            Path(codes, uuid4().hex).write_text(str(code), encoding="ascii")

        before, sys.argv = sys.argv, [f"aiaas {verb}", *arguments]
        try:
            hydra.main(config_path="pkg://conf", config_name=verb, version_base="1.3")(task)()
        finally:
            sys.argv = before
        return max((int(p.read_text(encoding="ascii")) for p in Path(codes).iterdir()), default=0)


def _guarded(work: Callable[[], Any]) -> int:
    try:
        work()
    except AiaasError as error:
        say(f"aiaas: {error}")
        return 2
    except BrokenPipeError:
        return _unread()
    return 0
