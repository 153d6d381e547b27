"""Which of what is left to train next: NumPy and SciPy only, on arrays.

``warping`` evens accuracies out, ``scaling`` makes inputs of vectors and costs, ``process`` and
``surrogate`` predict, ``gain`` says what a candidate may add to the area under the boundary,
``choose`` is the rule that puts them together.
"""

from optuna_pop.selection.choose import ByGain, Choice, Known, SelectionOptions, Selector

__all__ = ["ByGain", "Choice", "Known", "SelectionOptions", "Selector"]
