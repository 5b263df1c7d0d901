"""The rule language, the gallery, and what is derived from a rule."""
