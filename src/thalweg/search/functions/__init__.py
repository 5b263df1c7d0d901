"""Searching for the minimum of a plain function."""
