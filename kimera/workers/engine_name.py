"""What the engines are called, where a command's flags can ask without waiting for numpy."""

from typing import Literal, TypeAlias

EngineName: TypeAlias = Literal["local", "ray"]
