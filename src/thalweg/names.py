"""One name, two spellings: hyphens for people, underscores in Python."""


def shown(name: str) -> str:
    """A name as the command line and the reports write it: `gravity-ema`."""
    return name.replace("_", "-")
