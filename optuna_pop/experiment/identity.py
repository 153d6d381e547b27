"""What a study was made for, kept in the study: its space, latency tables, data and recipe.

So any process that can open the study can rebuild its sampler and read its results.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite
from typing import Any

from optuna.study import Study

from optuna_pop.errors import OptunaPopError, StudyError
from optuna_pop.findings import Findings
from optuna_pop.fingerprint import fingerprint
from optuna_pop.profiling import LatencyTable
from optuna_pop.sampler import POPSampler
from optuna_pop.spaces.base import Space
from optuna_pop.spaces.costs import Range
from optuna_pop.spaces.presets import space_from_spec

ERROR_ATTR = "error"
"""User attribute of a failed trial: what its training raised."""

_PREFIX = "optuna_pop:"
SETTINGS_ATTR = _PREFIX + "settings"
"""User attribute of a study: how its search was last set."""

_CONTENT = "content"  # the part of a part that is too long for a message
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


def describe_space(space: Space[Any]) -> dict[str, Any]:
    """Describe a space so that a study can be tied to it."""
    return {"fingerprint": space.fingerprint, **space.spec()}


def describe_tables(tables: Sequence[LatencyTable]) -> dict[str, Any]:
    """Describe latency tables, with their whole content, so that a study can be tied to them."""
    prints = [table.fingerprint for table in tables]
    return {
        "fingerprint": prints[0] if len(prints) == 1 else fingerprint(prints),
        "device": "; ".join(table.conditions.device_name for table in tables),
        "engine": "; ".join(table.conditions.engine for table in tables),
        _CONTENT: [table.model_dump(mode="json", by_alias=True) for table in tables],
    }


def remember_settings(
    study: Study, *, cost_range: Sequence[Range] | None, tolerance: float | None, **others: Any
) -> None:
    """Write down how the search was last set; these may change from one run to the next."""
    bounds = None
    if cost_range is not None:  # JSON has no infinity
        bounds = [[bound if isfinite(bound) else None for bound in pair] for pair in cost_range]
    settings = {"cost_range": bounds, "tolerance": tolerance, **others}
    study.set_user_attr(SETTINGS_ATTR, settings)


def settings_of(study: Study) -> dict[str, Any]:
    """Return how the search was last set.

    Raises:
        StudyError: if the study does not say.
    """
    return part_of(study, "settings")


def part_of(study: Study, name: str) -> dict[str, Any]:
    """Return one of the parts that a study was bound to.

    Raises:
        StudyError: if the study does not hold it.
    """
    part = found_part(study, name)
    if part is None:
        raise StudyError(
            f"study {study.study_name!r} does not say which {name} it has: begin it with "
            "`optuna-pop search`"
        )
    return part


def parts_of(study: Study) -> dict[str, dict[str, Any]]:
    """Return what a study says of how it was made: space, data, recipe, settings and so on.

    Returns:
        By name; latency tables, which ``tables_of`` has, are in short. Empty where it says nothing.
    """
    parts = {
        name.removeprefix(_PREFIX): part
        for name, part in study.user_attrs.items()
        if name.startswith(_PREFIX) and isinstance(part, dict)
    }
    return {
        name: {key: value for key, value in part.items() if key != _CONTENT}
        for name, part in parts.items()
    }


def found_part(study: Study, name: str) -> dict[str, Any] | None:
    """Return one of the parts that a study was bound to; None if it does not hold it."""
    part: dict[str, Any] | None = study.user_attrs.get(_PREFIX + name)
    return part


def tables_of(study: Study) -> list[LatencyTable]:
    """Rebuild the latency tables a study was made with.

    Raises:
        StudyError: if the study does not hold them.
    """
    return [LatencyTable.model_validate(table) for table in part_of(study, "table")[_CONTENT]]


def space_of(study: Study) -> Space[Any] | None:
    """Rebuild the space a study was made for; None if it does not say."""
    spec = study.user_attrs.get(_PREFIX + "space")
    if spec is None:
        return None
    return space_from_spec({k: v for k, v in spec.items() if k != "fingerprint"})


def sampler_of(study: Study) -> POPSampler[Any] | None:
    """Rebuild the sampler that searched a study; None if the study does not hold enough."""
    space, tables = space_of(study), study.user_attrs.get(_PREFIX + "table", {}).get(_CONTENT)
    settings = study.user_attrs.get(SETTINGS_ATTR)
    if space is None or tables is None or settings is None:
        return None
    bounds = settings["cost_range"]
    try:
        return POPSampler(
            space,
            cost=[LatencyTable.model_validate(table) for table in tables],
            cost_range=None if bounds is None else [_bounds(*pair) for pair in bounds],
            tolerance=settings["tolerance"],
            selection=settings["selection"],
        )
    except (OptunaPopError, ValueError) as error:
        raise StudyError(
            f"study {study.study_name!r} cannot be read by this optuna-pop: {error}"
        ) from error


def findings_of(study: Study) -> Findings:
    """Read what a study has found, with the space and tables it carries where it carries them.

    Raises:
        StudyError: if it has no boundary, or cannot be read by this optuna-pop.
    """
    sampler = study.sampler if isinstance(study.sampler, POPSampler) else sampler_of(study)
    carries = study.user_attrs.get(_PREFIX + "table") is not None
    return Findings.of(study, sampler=sampler, tables=tables_of(study) if carries else ())


def _bounds(low: float | None, high: float | None) -> Range:
    return -inf if low is None else low, inf if high is None else high


def _words(part: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in part.items() if name != _CONTENT)
