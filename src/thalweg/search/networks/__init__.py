"""Searching for the weights of a network."""
