"""Data sets, their splits, and the networks trained on them."""
