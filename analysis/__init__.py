"""Observations in; calibration, projection, figures and report out."""
