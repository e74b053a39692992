"""The engine's twin, written as one would with SimPy: a process per deployment, an event per burst.

It plays the same plan and must write the same logs. It keeps one list of nodes and one line of who
waits, walks both from the front, and knows nothing of shapes, groups or sums of bursts.
"""
