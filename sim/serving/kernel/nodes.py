"""Replicas on nodes: where they start, how long that takes; nodes that boot and are shut down."""

from __future__ import annotations

from sim.serving.kernel.compiled import compiled, compiled_apart
from sim.serving.kernel.queues import plan
from sim.serving.kernel.state import (
    ACTIVE,
    ALLOCATED,
    CORES,
    EMPTY,
    FREE,
    NOBODY,
    PROVISIONED,
    RAM,
    REPLICAS,
    SERVE_AT,
    UNTIL,
    Cluster,
)
from sim.ticks import NEVER


@compiled
def find_node(cluster: Cluster, app: int) -> int:
    """Return the node for one more replica, or `NOBODY`.

    A node that is on comes before one that is off, one that has the image before one that has not,
    a fuller one before an emptier one, the first before the last.
    """
    nodes, cached_at = cluster.nodes, cluster.cached_at[app]
    cores, ram = cluster.terms[app, CORES], cluster.terms[app, RAM]
    best = NOBODY
    best_class = best_cores = NEVER
    for node in range(len(nodes.cores)):
        free = nodes.cores[node]
        if free < cores or nodes.ram[node] < ram:
            continue
        of_class = 2 * (nodes.boot_at[node] == NEVER) + (cached_at[node] == NEVER)
        if of_class < best_class or (of_class == best_class and free < best_cores):
            best, best_class, best_cores = node, of_class, free
    return best


@compiled
def start_replica(
    cluster: Cluster, app: int, node: int, now: int, start: int, pull: int, boot: int
) -> int:
    """Start a replica on a node that has room and return its place.

    Args:
        cluster: The cluster.
        app: Whose.
        node: Where.
        now: When, ticks.
        start: How long the container and the model take.
        pull: How long the image takes, if it is not there.
        boot: How long the node takes, if it is off, as drawn.
    """
    world, nodes, places = cluster.world, cluster.nodes, cluster.places
    left = world[UNTIL] - now
    if nodes.boot_at[node] == NEVER:
        nodes.boot_at[node], nodes.up_at[node] = now, now + boot + nodes.boot[node]
        world[PROVISIONED] += left
    ready = max(now, nodes.up_at[node])
    if cluster.cached_at[app, node] == NEVER:
        cluster.cached_at[app, node] = ready + pull
    nodes.cores[node] -= cluster.terms[app, CORES]
    nodes.ram[node] -= cluster.terms[app, RAM]
    nodes.used[node] += 1
    world[FREE] -= 1
    place = places.free[world[FREE]]
    places.app[place], places.node[place] = app, node
    places.load[place] = places.leaving[place] = 0
    places.ready[place] = max(ready, cluster.cached_at[app, node]) + start
    cluster.apps[app, REPLICAS] += 1
    cluster.apps[app, ALLOCATED] += left
    return place


@compiled
def remove_replica(cluster: Cluster, place: int, now: int) -> None:
    """Let a replica go that is in no list any more; its room may serve who waits."""
    world, nodes, places = cluster.world, cluster.nodes, cluster.places
    app, node = places.app[place], places.node[place]
    nodes.cores[node] += cluster.terms[app, CORES]
    nodes.ram[node] += cluster.terms[app, RAM]
    nodes.used[node] -= 1
    places.free[world[FREE]] = place
    world[FREE] += 1
    cluster.apps[app, REPLICAS] -= 1
    cluster.apps[app, ALLOCATED] -= world[UNTIL] - now
    world[SERVE_AT] = now
    if nodes.used[node] == 0:
        nodes.empty_since[node] = now
        watch_empty(cluster, node)


@compiled
def watch_empty(cluster: Cluster, node: int) -> None:
    """Plan to shut an empty node down, if that is not planned yet."""
    nodes = cluster.nodes
    if nodes.idle[node] < NEVER and nodes.empty_set[node] == 0:
        nodes.empty_set[node] = 1
        empty_since = max(nodes.empty_since[node], nodes.up_at[node])
        plan(cluster, empty_since + nodes.idle[node], EMPTY, node)


@compiled_apart
def shut_down(cluster: Cluster, node: int, now: int) -> None:
    """Shut a node down if it has been empty for long enough; the images on it are lost."""
    nodes = cluster.nodes
    nodes.empty_set[node] = 0
    if nodes.used[node] > 0 or nodes.boot_at[node] == NEVER:
        return
    if max(nodes.empty_since[node], nodes.up_at[node]) + nodes.idle[node] > now:
        watch_empty(cluster, node)
        return
    nodes.boot_at[node] = NEVER
    cluster.world[PROVISIONED] -= cluster.world[UNTIL] - now
    for app in range(len(cluster.apps)):
        cluster.cached_at[app, node] = NEVER


@compiled
def lacks_room(cluster: Cluster, place: int) -> bool:
    """Return whether the node of a replica has lost the room for it."""
    node = cluster.places.node[place]
    return cluster.nodes.cores[node] < 0 or cluster.nodes.ram[node] < 0


@compiled
def computes(cluster: Cluster, app: int, since: int) -> None:
    """Count a replica as computing from a time on, in this window."""
    cluster.apps[app, ACTIVE] += max(cluster.world[UNTIL] - since, 0)


@compiled
def computes_no_more(cluster: Cluster, app: int, now: int) -> None:
    """Count it no longer."""
    cluster.apps[app, ACTIVE] -= cluster.world[UNTIL] - now
