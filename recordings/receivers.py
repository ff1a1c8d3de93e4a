"""Provider events, turned into rows of recordings."""
