"""Waves: rooms that move to one platform in steps, by themselves, and back at once."""
