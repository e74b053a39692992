"""The compiled kernel: the applications of a cluster, event by event."""
