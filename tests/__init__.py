"""Tests of the product; a package so that they can share hand-written tables."""
