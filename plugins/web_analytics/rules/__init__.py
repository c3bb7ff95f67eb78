"""The rules about dates, gaps, thresholds and states: pure functions that take the present instant as an argument."""
