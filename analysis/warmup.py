"""Compiles the serving kernel before work begins, and says so."""

from __future__ import annotations

from analysis.progress import say
from sim.serving.cluster import ServingCluster
from sim.serving.kernel.compiled import cache_folder


def compile_kernel() -> None:
    """Compile the kernel if that was not done yet; the workers then find it in the cache."""
    if not any(cache_folder().rglob("*.play_window-*.nbi")):
        say("aiaas: compiling the serving kernel, once after installation (about half a minute)")
    ServingCluster([]).play(1)
