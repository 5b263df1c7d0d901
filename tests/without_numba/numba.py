"""Stands in front of numba on the path of `make test-without-numba`, as on a machine that numba does not fit."""

raise ImportError("kept away in this run")
