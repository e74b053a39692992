"""Conformance: readers, policies, distributions and files keep their promises."""
