"""`python -m thalweg` is `thalweg`."""

from thalweg.cli import app

if __name__ == "__main__":  # not in the processes that a race starts, which import this too
    app(prog_name="thalweg")
