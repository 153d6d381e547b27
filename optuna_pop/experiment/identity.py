"""What a study was made for, kept in the study: its space, latency table, data and recipe."""

from __future__ import annotations

from typing import Any

from optuna.study import Study

from optuna_pop.errors import StudyError

HELD_OUT_ATTR = "held_out_samples"
"""User attribute of a trial: the number of samples its accuracy was taken on."""

_PREFIX = "optuna_pop:"
_MENDS = {
    "space": "give the space it was made with",
    "table": "give the latency table it was made with",
    "data": "give the data it was made with",
    "recipe": "give the recipe it was made with",
}


def bind(study: Study, **parts: dict[str, Any]) -> None:
    """Tie a new study to its parts, or check that a resumed one still has the same.

    Args:
        study: New or resumed.
        **parts: JSON descriptions; each holds a ``fingerprint`` that decides, and words that
            explain.

    Raises:
        StudyError: if a part differs from the study's. The study is left untouched.
    """
    known = {name: study.user_attrs.get(_PREFIX + name) for name in parts}
    for name, part in parts.items():
        old = known[name]
        if old is None:
            if study.get_trials(deepcopy=False) and any(known.values()):
                raise StudyError(f"study {study.study_name!r} does not say which {name} it has")
        elif old["fingerprint"] != part["fingerprint"]:
            raise StudyError(
                f"study {study.study_name!r} was made for another {name}: it has {_words(old)} "
                f"but now {_words(part)} was given; {_MENDS.get(name, 'give the same')}, "
                "or choose another --study name"
            )
    for name, part in parts.items():
        if known[name] is None:
            study.set_user_attr(_PREFIX + name, part)


def part(study: Study, name: str) -> dict[str, Any] | None:
    """Return what a study says of one of its parts, None if nothing."""
    found = study.user_attrs.get(_PREFIX + name)
    return found if isinstance(found, dict) else None


def _words(part: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in part.items())
