"""The random numbers that a strategy has used, for a transcription to use them again."""


class Remembered:
    """Draws that remember what they gave."""

    def __init__(self, draws):
        self.draws, self.given = draws, []

    def __getattr__(self, name):
        draw = getattr(self.draws, name)
        if not callable(draw):
            return draw

        def drawn(*sizes):
            numbers = draw(*sizes)
            self.given.append(numbers.clone())
            return numbers

        return drawn

    def taken(self):
        """What was given since this was last called, in order, of the first run, as nested lists."""
        given, self.given = self.given, []
        return [numbers[0].tolist() for numbers in given]


def remembering(strategy):
    """The strategy's draws, which remember from now on."""
    strategy.state.draws = Remembered(strategy.state.draws)
    return strategy.state.draws
