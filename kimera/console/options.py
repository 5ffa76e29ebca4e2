"""Settings: frozen dataclasses, one a command, in which each option is declared once.

A field made by `option` is a flag. From its declaration follow the parser and its help, the key in a
configuration file, what a journal keeps of it, and its row in docs/flags.md. Classes that share options share
a base class. Below `command_line` nothing sees what argparse parsed: functions take settings.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

from kimera.console.command_parser import CommandParser, nearest
from kimera.console.commands import COMMANDS, as_called
from kimera.console.standard_output import note
from kimera.errors import UserError

CONFIG_FILE = "kimera.toml"
_OPTION = "option"
_CONFIG_HELP = (
    f"TOML file to read flags from, in a table named as the command (default: {CONFIG_FILE} in the current "
    "folder, if there is one); flags win"
)

S = TypeVar("S")
T = TypeVar("T")
Groups: TypeAlias = Mapping[str, Sequence[type | str]]
"""The titles of a command's --help, and under each the options of these classes, and fields by name."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """What a field's declaration says. name: of the field. An empty flag is a positional argument.

    old: earlier spellings of the flag, which go on working and are not shown. repeated: the flag may be given
    several times. also: other spellings of the flag, which are shown beside it. negatable: a switch with
    another flag beside it, --no-..., that turns it off. exclusive: at most one of the options with the same
    word may be given. overrules: the settings that a configuration file loses where the flag is given.
    identity: another value makes it another run. one_session: says how to run, not what; no journal keeps it.
    secret: is written nowhere. variable: of the environment, where a secret belongs instead of a file. path:
    may name a file or a folder. kept: what a journal keeps of one value, where that is another one. outward:
    decides where texts and keys go, who gets in, or what code runs.
    """

    name: str = ""
    flag: str
    default: Any
    help: str
    type: Callable[[str], Any] = str
    choices: Collection[str] | None = None
    metavar: str | None = None
    nargs: str | None = None
    repeated: bool = False
    negatable: bool = False
    old: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    exclusive: str = ""
    overrules: tuple[str, ...] = ()
    identity: bool = False
    one_session: bool = False
    secret: bool = False
    variable: str = ""
    path: bool = False
    kept: Callable[[str], str] | None = None
    outward: bool = False

    @property
    def shown(self) -> str:
        """What messages call it."""
        return self.flag or str(self.metavar)

    @property
    def key(self) -> str:
        """What a configuration file calls it."""
        return self.flag.removeprefix("--") or self.name

    @property
    def is_switch(self) -> bool:
        return isinstance(self.default, bool)

    @property
    def is_required(self) -> bool:
        """Whether argparse refuses a command line without it."""
        return not self.flag and self.nargs not in ("?", "*")

    @property
    def is_many(self) -> bool:
        """Whether its value is a tuple."""
        return self.repeated or self.nargs in ("*", "+")

    @property
    def text(self) -> str:
        """What --help says of it."""
        return self.help % {"default": self.default}


def option(default: T, flag: str = "", **declaration: Any) -> T:
    """A field of a settings class. declaration: as `Option` names it."""
    declared: T = _field(Option(flag=flag, default=default, **declaration))
    return declared


def _field(declared: Option) -> Any:
    return field(default=declared.default, repr=not declared.secret, metadata={_OPTION: declared})


def options_of(settings: Any) -> Mapping[str, Option]:
    """The options that a settings class declares, by the name of the field, in order."""
    return {
        declared.name: replace(declared.metadata[_OPTION], name=declared.name)
        for declared in fields(settings)
    }


def changed(base: type, name: str, **declaration: Any) -> Any:
    """A field of a base class, declared anew with these changes."""
    return _field(replace(options_of(base)[name], **declaration))


class Settings(Protocol):
    """A frozen dataclass whose fields are options: all that a command takes."""

    GROUPS: ClassVar[Groups]


def settings_of(settings: type[S], values: Mapping[str, Any]) -> S:
    """The settings with these values by name. What is no option of theirs is left out.

    An option that may be given several times takes a single value too, as earlier versions wrote it down.
    """
    return settings(
        **{
            name: _many(values[name]) if declared.is_many else values[name]
            for name, declared in options_of(settings).items()
            if name in values
        }
    )


def _many(value: Any) -> tuple[Any, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def _grouped(settings: type[Settings]) -> Iterator[tuple[str, list[Option]]]:
    """Each title of --help with its options."""
    declared = options_of(settings)
    for title, parts in settings.GROUPS.items():
        names = [[part] if isinstance(part, str) else options_of(part) for part in parts]
        yield title, [declared[name] for name in chain.from_iterable(names)]


class TakesFlags(Protocol):
    """A parser, or one of its groups."""

    def add_argument(self, *names: str, **options: Any) -> argparse.Action: ...

    def add_mutually_exclusive_group(self) -> TakesFlags: ...


def parser_of(settings: type[Settings], command: str, **texts: Any) -> argparse.ArgumentParser:
    """The parser of a command of `kimera`. texts: what `ArgumentParser` takes, and shows as it was called."""
    called: dict[str, Any] = {
        name: as_called(text) if isinstance(text, str) else text for name, text in texts.items()
    }
    parser = CommandParser(
        prog=as_called(f"kimera {command}"), formatter_class=argparse.RawDescriptionHelpFormatter, **called
    )
    parser.add_argument("--config", default=argparse.SUPPRESS, metavar="FILE", help=_CONFIG_HELP)
    for title, options in _grouped(settings):
        _add_options(parser.add_argument_group(title) if title else parser, options)
    return parser


def _add_options(group: TakesFlags, options: Collection[Option]) -> None:
    """The flags of these options. What is not given has no value, so that it is known what was given."""
    words = {declared.exclusive for declared in options} - {""}
    exclusive = {word: group.add_mutually_exclusive_group() for word in words}
    for declared in options:
        place = exclusive[declared.exclusive] if declared.exclusive else group
        names = [declared.flag, *declared.also] if declared.flag else [declared.name]
        place.add_argument(*names, default=argparse.SUPPRESS, **_arguments(declared))
        for old in declared.old:
            _add_old_name(place, old, declared.name, declared.type)


def _arguments(declared: Option) -> dict[str, Any]:
    arguments: dict[str, Any] = {"help": as_called(declared.text).replace("%", "%%")}
    if declared.flag:
        arguments["dest"] = declared.name
    if declared.is_switch:
        return arguments | {"action": argparse.BooleanOptionalAction if declared.negatable else "store_true"}
    named = {"choices": declared.choices, "metavar": _value_name(declared), "nargs": declared.nargs}
    arguments |= {name: value for name, value in named.items() if value}
    return arguments | {"type": declared.type} | ({"action": "append"} if declared.repeated else {})


def _value_name(declared: Option) -> str | None:
    """What stands for the value; argparse finds one itself, but for choices that have commas in them."""
    choices = declared.choices or ()
    return declared.metavar or ("|".join(choices) if any("," in choice for choice in choices) else None)


def _add_old_name(group: TakesFlags, flag: str, dest: str, type: Callable[[str], object]) -> None:
    """An earlier spelling of a flag, which goes on working and is not shown."""
    group.add_argument(flag, dest=dest, type=type, default=argparse.SUPPRESS, help=argparse.SUPPRESS)


@dataclass(frozen=True)
class CommandLine(Generic[S]):
    """What a command was told: its settings, and which of them its flags and its configuration file gave.

    in_file: those that `file` gave and no flag. is_file_named: by a flag; else it was only found.
    """

    settings: S
    flags: frozenset[str] = frozenset()
    in_file: frozenset[str] = frozenset()
    file: Path | None = None
    is_file_named: bool = False


def command_line(settings: type[S], command: str, parsed: argparse.Namespace) -> CommandLine[S]:
    """The settings that a command's flags ask for, and below them its configuration file.

    parsed: what the parser of `parser_of` made of the flags. Raises UserError for a file that cannot be used.
    """
    values = vars(parsed)
    declared = options_of(settings)
    by_flag = {name: values[name] for name in declared if name in values}
    path, is_named = _config_file(values.get("config")), "config" in values
    in_file = _table_of(path, command, declared, is_named=is_named) if path else {}
    for name in _set_aside(declared, by_flag):
        in_file.pop(name, None)
    if in_file and not is_named:
        note(f"flags are read from {path} in this folder")
    whole = settings_of(settings, in_file | by_flag)
    return CommandLine(whole, frozenset(by_flag), frozenset(in_file), path, is_named)


def _set_aside(declared: Mapping[str, Option], by_flag: Collection[str]) -> Iterator[str]:
    """The settings that a configuration file no longer gives: these flags win over them."""
    words = {declared[name].exclusive for name in by_flag} - {""}
    yield from by_flag
    yield from chain.from_iterable(declared[name].overrules for name in by_flag)
    yield from (name for name, setting in declared.items() if setting.exclusive in words)


def _config_file(named: str | None) -> Path | None:
    if named is not None:
        return Path(named)
    return Path(CONFIG_FILE) if Path(CONFIG_FILE).is_file() else None


def _table_of(path: Path, command: str, declared: Mapping[str, Option], *, is_named: bool) -> dict[str, Any]:
    """The settings in a command's table of a configuration file, by name."""
    table = _tables_in(path).get(command, {})
    # What argparse requires stands on the command line in any case.
    by_key = {setting.key: setting for setting in declared.values() if not setting.is_required}
    values: dict[str, Any] = {}
    for key, value in table.items():
        where = f"{path}, [{command}]: {key!r}"
        setting = by_key.get(key.replace("_", "-"))
        if setting is None:
            raise UserError(f"{where} is no flag of this command{_nearest(key.replace('_', '-'), by_key)}")
        if setting.name in values:
            raise UserError(f"{where} is given twice")
        _require_allowed(setting, where, path, is_named=is_named)
        values[setting.name] = _value_of(setting, value, where)
    _require_exclusive([declared[name] for name in values], f"{path}, [{command}]")
    return values


def _tables_in(path: Path) -> dict[str, Any]:
    """A configuration file's tables, by the command that each is for."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"--config {path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # what is no UTF-8 is one too
        raise UserError(f"{path}: this is not TOML: {error}") from None
    commands = [name for name, command in COMMANDS.items() if command.has_settings]
    for name, table in content.items():
        if name not in commands:
            raise UserError(
                f"{path}: {name!r} is none of {', '.join(commands)}; each flag stands in the table of its "
                f"command, such as [compare]{_nearest(name, commands)}"
            )
        if not isinstance(table, dict):
            raise UserError(f"{path}: {name} is not a table; write [{name}], and the flags below it")
    return content


def _require_allowed(setting: Option, where: str, path: Path, *, is_named: bool) -> None:
    """Raises UserError for what no file may hold, or none that lies in a folder by chance.

    A folder that somebody else made must not send this user's texts and keys where its maker likes.
    """
    if setting.secret and setting.variable:
        raise UserError(f"{where}: a key does not belong in a file; set {setting.variable} instead")
    if setting.outward and not is_named:
        raise UserError(
            f"{where} decides where texts and keys go, who gets in, or what code runs, so it is not taken "
            f"from a file that was only found; if you trust the file, give --config {path}"
        )


def _require_exclusive(given: Sequence[Option], where: str) -> None:
    words = [setting.exclusive for setting in given if setting.exclusive]
    for word in {word for word in words if words.count(word) > 1}:
        keys = [setting.key for setting in given if setting.exclusive == word]
        raise UserError(f"{where}: {' and '.join(keys)} cannot be combined")


def _nearest(word: str, known: Collection[str]) -> str:
    near = nearest(word, known)
    return f"; did you mean {near}?" if near else ""


def _value_of(setting: Option, value: Any, where: str) -> Any:
    """What the flag would make of a value in a file. Raises UserError for what it does not take."""
    try:
        if setting.is_switch:
            return _switch(value)
        if setting.is_many:
            return tuple(_single(setting, item) for item in (value if isinstance(value, list) else [value]))
        return _single(setting, value)
    except argparse.ArgumentTypeError as error:
        raise UserError(f"{where}: {error}") from None
    except ValueError:  # of int and float, whose own message says less
        raise UserError(f"{where}: invalid {setting.type.__name__} value: {_as_toml(value)}") from None


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise argparse.ArgumentTypeError(f"{_as_toml(value)} is neither true nor false")
    return value


def _single(setting: Option, value: Any) -> Any:
    takes_numbers = setting.type not in (str, Path)
    if isinstance(value, bool) or not isinstance(value, str | int | float if takes_numbers else str):
        expected = "a number or a text" if takes_numbers else "a text"
        raise argparse.ArgumentTypeError(f"{_as_toml(value)} is not {expected}")
    if setting.choices and value not in setting.choices:
        raise argparse.ArgumentTypeError(f"{value!r} is not one of {', '.join(setting.choices)}")
    return setting.type(str(value))


def _as_toml(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def words_of(settings: object, names: Iterable[str]) -> Iterator[str]:
    """The words of a command line that give these options again, but those of one session."""
    options = options_of(type(settings))
    for name in names:
        declared, value = options[name], getattr(settings, name)
        if value == declared.default or declared.one_session:
            continue
        for item in value if declared.is_many else [value]:
            yield from [declared.flag] if declared.is_switch else [declared.flag, str(item)]


def flag_table(settings: type[Settings]) -> str:
    """Markdown: a table of the flags under each title of --help."""
    parts = []
    for title, options in _grouped(settings):
        rows = map(_row, options)
        heading = f"### {title[0].upper()}{title[1:]}\n\n" if title else ""
        parts.append(heading + "\n".join(["| flag | what it does |", "| --- | --- |", *rows]))
    return "\n\n".join(parts)


def _row(declared: Option) -> str:
    choices = "{" + ",".join(declared.choices or ()) + "}"
    value = _value_name(declared) or (choices if declared.choices else declared.name.upper())
    off = [f"--no-{declared.key}"] if declared.negatable else []
    flags = ", ".join([declared.flag, *declared.also, *off])
    words = " ".join(filter(None, [flags, "" if declared.is_switch else value]))
    mark = (
        "; in no file" if declared.variable else "; only in a file that is named" if declared.outward else ""
    )
    return "| `{}` | {} |".format(*(part.replace("|", r"\|") for part in (words, declared.text + mark)))
