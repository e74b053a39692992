"""Snapshots of ai4os/ai4-accounting: read, followed from one to the next, summed up."""
