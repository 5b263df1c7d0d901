"""The algorithms of strategies, one file a family; `thalweg.search.catalogue` has them by name."""
