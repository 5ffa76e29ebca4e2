"""Parameters of a request that its user gives: what --param takes, and how they get into any API's body."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from benchmarks.judge.model_scope import require_judge
from benchmarks.judge.parameter_rules import ParameterRules, normal
from benchmarks.judge.redaction import is_credential
from kimera.errors import UserError

if TYPE_CHECKING:
    from benchmarks.judge.request_form import RequestForm

_KEY = "a key does not belong in settings, which are written down; set its variable, or give --header"


@dataclass(frozen=True)
class Parameter:
    """model: whose requests it belongs to, empty for all judges. path: its name, a part for each object."""

    model: str
    path: tuple[str, ...]
    value: Any

    @property
    def name(self) -> str:
        return ".".join(self.path)


def parameter(text: str) -> str:
    """The text, if it is [MODEL:]NAME=VALUE. Raises ArgumentTypeError with the reason why it is not taken."""
    _read(text)
    return text


def parameters_for(
    texts: Sequence[str], model: str, models: Sequence[str], rules: ParameterRules
) -> dict[str, Any]:
    """What the requests to one model are given, as nested JSON; its own over what is given to all.

    models: the judges of the run. rules: of the API's protocol. Raises UserError for a model that is none of
    them, for what contradicts itself, and for what cannot be given.
    """
    given = [_read(text) for text in texts]
    for text, one in zip(texts, given, strict=True):
        require_judge(one.model, models, f"--param {text}")
    whole: dict[str, Any] = {}
    for scope in ("", model):
        own: dict[str, Any] = {}
        for one in (one for one in given if one.model == scope):
            _put(own, one)
        _merge(whole, own)
    require_allowed(whole, rules)
    return whole


def _read(text: str) -> Parameter:
    left, separator, value = text.partition("=")
    model, colon, name = left.strip().rpartition(":")
    path = tuple(name.strip().split("."))
    is_whole = bool(separator and all(path) and (model.strip() or not colon))
    if not is_whole or not (left.isprintable() and value.isprintable()):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not of the form NAME=VALUE or MODEL:NAME=VALUE, such as reasoning_effort=low"
        )
    read = Parameter(model.strip(), path, _value(value))
    for shown in _credentials_in(_nested(path, read.value)):
        raise argparse.ArgumentTypeError(shown)
    return read


def _value(text: str) -> Any:
    """JSON where it is, else the text itself."""
    try:
        return json.loads(text, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError):
        return text


def _finite(word: str) -> float:
    """Raises ValueError for what JSON has no number for: "NaN", "Infinity", 1e999."""
    number = float(word)
    if not math.isfinite(number):
        raise ValueError(f"{word} is no JSON")
    return number


def require_allowed(given: Mapping[str, Any], rules: ParameterRules) -> None:
    """Raises UserError for nested parameters that a request may not be given."""
    for reason in (*_credentials_in(given), *_reasons(given, rules.taken)):
        raise UserError(f"--param {reason}")


def _credentials_in(given: Mapping[str, Any]) -> Iterator[str]:
    return (f"{name} cannot be given: {_KEY}" for name in _names_in(given) if is_credential(name))


def _reasons(given: Mapping[str, Any], taken: Mapping[str, str]) -> Iterator[str]:
    """Why what is given is not taken."""
    for path, value in leaves(given):
        name, names = ".".join(path), _normal_path(path)
        starts = (".".join(names[:count]) for count in range(1, len(names) + 1))
        yield from (f"{name} cannot be given: {taken[start]}" for start in starts if start in taken)
        if not isinstance(value, Mapping) and any(own.startswith(f"{'.'.join(names)}.") for own in taken):
            yield f"{name} cannot be given as a whole, since Kimera sets a part of it; give {name}.NAME=VALUE"


def _names_in(value: Any) -> Iterator[str]:
    """Of all members, those of objects within lists among them."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield str(name)
            yield from _names_in(member)
    elif isinstance(value, list):
        for member in value:
            yield from _names_in(member)


def _put(whole: dict[str, Any], one: Parameter) -> None:
    """Raises UserError where another of the same scope says something of the same name."""
    holder = whole
    for part in one.path[:-1]:
        holder = holder.setdefault(part, {})
        if not isinstance(holder, dict):
            raise UserError(
                f"--param {one.name}: {part} is given a value of its own as well; give one of both"
            )
    if one.path[-1] in holder:
        raise UserError(f"--param {one.name} is given twice; give it once")
    holder[one.path[-1]] = one.value


def _nested(path: Sequence[str], value: Any) -> dict[str, Any]:
    return {path[0]: _nested(path[1:], value) if len(path) > 1 else value}


def _merge(whole: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Puts what is given over what is there; objects become one."""
    for name, value in given.items():
        there = whole.get(name)
        if isinstance(there, dict) and isinstance(value, Mapping):
            _merge(there, value)
        else:
            whole[name] = json.loads(json.dumps(value)) if isinstance(value, Mapping) else value


def leaves(given: Mapping[str, Any], before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each path of names in nested parameters, and its value."""
    for name, value in given.items():
        path = (*before, str(name))
        if isinstance(value, Mapping) and value:
            yield from leaves(value, path)
        else:
            yield path, value


def in_words(given: Mapping[str, Any]) -> str:
    """As flags give them: a=1, b.c=text."""
    return ", ".join(
        f"{'.'.join(path)}={value if isinstance(value, str) else json.dumps(value)}"
        for path, value in leaves(given)
    )


def form_beside(form: RequestForm, given: Mapping[str, Any]) -> RequestForm:
    """The form without what is given anyway: no default of ours beside it, and no limit of ours.

    Raises UserError for a limit that is none.
    """
    values = {_normal_path(path): value for path, value in leaves(given)}

    def path_of(name: str) -> tuple[str, ...]:
        return _normal_path((*form.parameters_in, name))

    form = replace(form, optional=tuple(item for item in form.optional if path_of(item[0]) not in values))
    for name in filter(None, form.limit_parameters):
        if path_of(name) in values:
            limit = values[path_of(name)]
            if not isinstance(limit, int) or isinstance(limit, bool) or limit <= 0:
                raise UserError(f"--param {name} takes a whole number above 0, not {limit!r}")
            return replace(form, limit_parameters=("",), given_limit=limit)
    return form


def _normal_path(path: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(normal, path))


def written_into(body: bytes, given: Mapping[str, Any]) -> bytes:
    """A request's body with what is given in it, over what the protocol wrote."""
    if not given:
        return body
    whole = json.loads(body)
    _merge(whole, given)
    return json.dumps(whole).encode()
