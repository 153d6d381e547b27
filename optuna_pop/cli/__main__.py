"""``python -m optuna_pop.cli``."""

from optuna_pop.cli import main

main()
