import subprocess
import sys

import pytest


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_names_are_listed_without_loading_torch() -> None:
    done = _run(
        "import sys\n"
        "import optuna_pop.trainables.blocks\n"
        "from optuna_pop.trainables.data import DATA_SETS\n"
        "from optuna_pop.trainables.recipes import RECIPES\n"
        "assert DATA_SETS['digits']().input_shape[0] == 1\n"
        "assert DATA_SETS.names() and RECIPES\n"
        "assert not {'torch', 'sklearn'} & set(sys.modules)\n"
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("package", "code"),
    [
        ("torch", "import optuna_pop.trainables.networks"),
        ("torch", "import optuna_pop.trainables.export"),
        ("torch", "from optuna_pop.trainables.blocks import BLOCKS, build_block\n"
         "from optuna_pop.spaces import BlockConfig\n"
         "build_block(BlockConfig('head', 1, 1, 1, 1, 1, 1))"),
        ("sklearn", "from optuna_pop.trainables.data.digits import Digits\nDigits().load()"),
    ],
)  # fmt: skip
def test_a_missing_package_says_what_to_install(package: str, code: str) -> None:
    done = _run(f"import sys, optuna_pop\nsys.modules[{package!r}] = None\n{code}")
    assert (
        f"{package} is not installed; get it with: pip install 'optuna-pop[train]'" in done.stderr
    )
