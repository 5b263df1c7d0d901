"""What comes out of an evolution: the rule as people write it, what it is near to, what its parts do, and the page."""
