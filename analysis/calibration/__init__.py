"""Calibration: priors, a design of runs, an emulator of their outputs, a posterior."""
