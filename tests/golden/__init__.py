"""Results kept, so that a change of results is noticed."""
