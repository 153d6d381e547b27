"""The ``optuna-pop`` command; one file a subcommand."""

from __future__ import annotations

import sys

from optuna_pop.errors import OptunaPopError, needs_extra

USAGE_ERROR = 2


def main() -> None:
    """Run the command line; what the user got wrong ends in one readable line and exit code 2."""
    try:
        with needs_extra("cli"):
            import rich  # noqa: F401
            import typer  # noqa: F401
        from optuna_pop.cli.app import app

        app()
    except OptunaPopError as error:
        print(f"optuna-pop: error: {error}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
