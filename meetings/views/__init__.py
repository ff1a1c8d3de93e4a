"""HTTP for the pages of participants: guard, one call, render."""
