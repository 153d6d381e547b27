"""Which of what is left to train next: NumPy and SciPy only, on arrays.

``warping`` evens accuracies out, ``surrogate`` predicts them, ``gain`` says what a candidate may
add to the area under the boundary, ``candidates`` draws those worth scoring, ``choose`` is the
rule that puts them together.
"""

from optuna_pop.selection.choose import ByGain, Choice, SelectionOptions, Selector

__all__ = ["ByGain", "Choice", "SelectionOptions", "Selector"]
