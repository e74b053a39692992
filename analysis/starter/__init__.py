"""A new federation's folder (`aiaas init`): from assumptions, or from an import of accounting."""
