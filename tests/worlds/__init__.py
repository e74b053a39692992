"""Worlds beside each other: what must not change when something else does."""
