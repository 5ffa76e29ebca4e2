"""A user's function by its name, "module:function" or "file.py:function"."""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from kimera.cache import log_error
from kimera.console import nearest, without_secrets
from kimera.errors import UserError
from kimera.files import shorten

FORMS = '"module:function" or "file.py:function"'


def load_function(name: str) -> Callable[..., Any]:
    """The function of this name; its module is imported, with the current folder on the path.

    Raises UserError where the file, the module or the function is missing, where it cannot be called, and
    where the module's import raises, whose traceback is logged.
    """
    home, _, path = name.rpartition(":")
    if not home or not path or not all(part.isidentifier() for part in path.split(".")):
        raise UserError(f"{shorten(name)} does not name a function; expected {FORMS}")
    module = _of_file(Path(home), name) if home.endswith(".py") else _of_module(home, name)
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            raise UserError(_missing(name, home, found, part))
        found = getattr(found, part)
    if not callable(found):
        raise UserError(f"{name}: {path} is {shorten(found)}, which cannot be called; name a function")
    function: Callable[..., Any] = found
    return function


def name_of(function: Callable[..., Any]) -> str | None:
    """A name by which another process finds it; None for a lambda, a closure or an object."""
    module, path = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(path, str) or not path.replace(".", "").isidentifier():
        return None
    loaded: Any = sys.modules.get(module)
    at_name = functools.reduce(lambda holder, part: getattr(holder, part, None), path.split("."), loaded)
    if at_name is not function:
        return None
    file = getattr(loaded, "__file__", None)
    if module == "__main__" or module.startswith(_PREFIX):
        return f"{file}:{path}" if file and str(file).endswith(".py") else None
    return f"{module}:{path}"


def source_digest(function: Callable[..., Any]) -> str | None:
    """SHA-256 of the file that the function stands in, without what it imports; None where there is none."""
    bare: Any = function
    while isinstance(bare, functools.partial):
        bare = bare.func
    bare = inspect.unwrap(bare)
    if not (inspect.isroutine(bare) or inspect.isclass(bare)):
        bare = type(bare)
    try:
        file = inspect.getsourcefile(bare)
        return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else None
    except (OSError, TypeError):
        return None


_PREFIX = "kimera_function_"  # of the modules that are made of files


def _of_file(path: Path, name: str) -> ModuleType:
    if not path.is_file():
        raise UserError(f"{name}: there is no file {path} (looked for in {Path.cwd()}); check its name")
    resolved = path.resolve()
    title = f"{_PREFIX}{hashlib.sha256(str(resolved).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(title, resolved)
    if spec is None or spec.loader is None:
        raise UserError(f"{name}: {path} cannot be imported; expected a file of Python")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(title)
    sys.modules[title] = module  # dataclasses and pickle look there
    try:
        with _on_path(str(resolved.parent)), _on_path(os.getcwd()), _import_errors(name, path):
            spec.loader.exec_module(module)
    except UserError:
        if before is None:
            del sys.modules[title]
        else:
            sys.modules[title] = before
        raise
    return module


def _of_module(module: str, name: str) -> ModuleType:
    if not all(part.isidentifier() for part in module.split(".")):
        raise UserError(
            f"{name}: {shorten(module)} is no module and no file that ends in .py; expected {FORMS}"
        )
    importlib.invalidate_caches()  # the file may have been written a moment ago
    try:
        with _on_path(os.getcwd()), _import_errors(name, module):
            return importlib.import_module(module)
    except _MissingModuleError:
        at = Path(*module.split(".")).with_suffix(".py")
        beside = f"; {at} is there, give {at}:{name.rpartition(':')[2]}" if at.is_file() else ""
        raise UserError(
            f"{name}: there is no module {module}, neither installed nor in {Path.cwd()}; check its name, or "
            f"give a file, as in path/to/{at.name}:{name.rpartition(':')[2]}{beside}"
        ) from None


class _MissingModuleError(Exception):
    """The module that was named is not there, nor a package around it."""


@contextmanager
def _import_errors(name: str, home: object) -> Iterator[None]:
    try:
        yield
    except (Exception, SystemExit) as error:  # noqa: BLE001 (code of the user's may raise anything)
        if isinstance(error, ModuleNotFoundError) and f"{home}.".startswith(f"{error.name}."):
            raise _MissingModuleError from None
        log = log_error("".join(traceback.format_exception(error)))
        told = shorten(without_secrets(str(error)), 200)
        raise UserError(
            f"{name}: {home} cannot be imported: {type(error).__name__}: {told}; the traceback is in {log}"
        ) from None


@contextmanager
def _on_path(folder: str) -> Iterator[None]:
    """First on the path during an import; then last, since the function may import more when it is called.

    It does not stay first: a file of the user's would stand in for a module of the same name.
    """
    if folder in sys.path:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)
        sys.path.append(folder)


def _missing(name: str, home: str, holder: object, part: str) -> str:
    callables = [
        each for each in vars(holder) if not each.startswith("_") and callable(getattr(holder, each))
    ]
    close = nearest(part, callables)
    own = [each for each in callables if getattr(getattr(holder, each), "__module__", None) == _title(holder)]
    hint = f"did you mean {close}?" if close else f"it has {', '.join(own[:10]) or 'no function'}"
    return f"{name}: {home} has no {part}; {hint}"


def _title(holder: object) -> str | None:
    return getattr(holder, "__module__", None) or getattr(holder, "__name__", None)
