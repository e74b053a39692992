"""The verbs of the command line, one file each: `prepare` checks, `execute` works."""
