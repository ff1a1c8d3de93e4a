"""Settings mistakes, told before they hurt."""
