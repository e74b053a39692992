"""Applications served as functions: replicas that start, compute, idle and go."""
