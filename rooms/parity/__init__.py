"""Platforms side by side: how their meetings went, and what may be concluded from it."""
