"""One reader a file, found by its file name; `analysis.accounting.reading` says what one has."""
