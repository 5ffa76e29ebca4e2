"""Writes docs/flags.md: the configuration file, and the flags of each command that takes one.

python -m benchmarks.flag_tables
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.diff import DiffSettings
from benchmarks.distil import DistilSettings
from benchmarks.label import LabelSettings
from benchmarks.report import ReportSettings
from benchmarks.runs import JudgedScanSettings
from benchmarks.settings import RunSettings
from benchmarks.simulator import SimulateSettings
from kimera.cache import CacheSettings
from kimera.console import Settings, flag_table
from kimera.live import LiveSettings
from kimera.mcp import McpSettings
from kimera.scan import ScanSettings
from kimera.training import TrainSettings

PATH = Path(__file__).parent.parent / "docs" / "flags.md"
COMMANDS: dict[str, type[Settings]] = {
    "compare": RunSettings,
    "scan": ScanSettings,
    "judged-scan": JudgedScanSettings,
    "live": LiveSettings,
    "mcp": McpSettings,
    "train": TrainSettings,
    "report": ReportSettings,
    "label": LabelSettings,
    "diff": DiffSettings,
    "distil": DistilSettings,
    "cache": CacheSettings,
    "simulate": SimulateSettings,
}
INTRODUCTION = """\
# Flags

`python -m benchmarks.flag_tables` writes this page.

## A configuration file

A TOML file has a table for each command, named as the command. Its keys are the flags without their dashes,
and a value is what the flag takes, `true` for a flag that takes none (`false` where there is a `--no-` beside
it), or a list where a flag may be repeated. What a command cannot do without stands on its command line:

```toml
[compare]
dataset = "pairs.csv"
max-pairs = 0
async = 16
model = ["gpt-4o", "gpt-4o-mini"]

[scan]
column = "fact"
fail-on-contradiction = true
```

`--config FILE` names the file. Without it `kimera.toml` in the current folder is read, if there is one, and a
note says so; `--config /dev/null` reads none. Flags win over the file, the file over the environment
(`OPENAI_BASE_URL`, `KIMERA_MODEL`, `KIMERA_CACHE_DIR`), and that over the defaults. Relative paths start from
the current folder, as those of flags do.

A key of an API, and a token, is refused in any file: set `OPENAI_API_KEY` or `KIMERA_LIVE_TOKEN`. What
decides where texts and keys go, or who gets in, is taken only from a file that `--config` names, since a
folder may be somebody else's. Both are marked below.

A run that `--resume` continues keeps its own settings. Flags, and a file that `--config` names, change those
that may change; a `kimera.toml` that was only found changes none but the output's, such as `--quiet`.
"""


def flag_tables() -> str:
    parts = [f"## kimera {name}\n\n{flag_table(settings)}\n" for name, settings in COMMANDS.items()]
    return "\n".join([INTRODUCTION, *parts])


def main() -> int:
    PATH.write_text(flag_tables(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
