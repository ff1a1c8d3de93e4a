"""Provider events, turned into rows of meetings."""
