"""Methods, tuning, trials, the run store, statistics and the report."""
