"""Named questions and the data of each federation, one folder a federation."""
