"""What every command shares: names, flags, output, exit codes, Ctrl-C."""

from typing import TYPE_CHECKING

from kimera.first_use import at_first_use

__all__ = [
    "COMMANDS",
    "DONE",
    "FAILED",
    "GATE_NOT_MET",
    "INTERRUPTED",
    "MASK",
    "PATIENCE_S",
    "PROGRAM",
    "CommandLine",
    "CommandParser",
    "Groups",
    "Option",
    "Settings",
    "as_called",
    "changed",
    "command_line",
    "complete",
    "confidence",
    "cosine",
    "exit_code_of",
    "exit_quietly",
    "flag_table",
    "header",
    "host_and_port",
    "how_to_install",
    "interrupt_once",
    "interrupts_withheld",
    "is_coloured",
    "nearest",
    "note",
    "open_share",
    "option",
    "options_of",
    "parser_of",
    "port_number",
    "positive",
    "printable",
    "progress_bar",
    "reader_may_leave",
    "say",
    "settings_of",
    "shard_of_n",
    "share",
    "share_above_0",
    "size",
    "starting_processes",
    "tell",
    "two_or_three",
    "whole",
    "whole_or_auto",
    "without_secrets",
    "words_of",
]

if TYPE_CHECKING:
    from kimera.console.argument_types import (
        confidence,
        cosine,
        header,
        host_and_port,
        open_share,
        port_number,
        positive,
        shard_of_n,
        share,
        share_above_0,
        size,
        two_or_three,
        whole,
        whole_or_auto,
    )
    from kimera.console.command_parser import CommandParser, nearest
    from kimera.console.commands import COMMANDS, PROGRAM, as_called
    from kimera.console.completion import complete
    from kimera.console.exit_codes import DONE, FAILED, GATE_NOT_MET, INTERRUPTED, exit_code_of
    from kimera.console.installation import how_to_install
    from kimera.console.interrupts import (
        PATIENCE_S,
        exit_quietly,
        interrupt_once,
        interrupts_withheld,
        starting_processes,
    )
    from kimera.console.masking import MASK, without_secrets
    from kimera.console.options import (
        CommandLine,
        Groups,
        Option,
        Settings,
        changed,
        command_line,
        flag_table,
        option,
        options_of,
        parser_of,
        settings_of,
        words_of,
    )
    from kimera.console.progress import progress_bar
    from kimera.console.standard_output import is_coloured, note, printable, reader_may_leave, say, tell
else:
    __getattr__ = at_first_use(
        __name__,
        {
            "argument_types": [
                "confidence",
                "cosine",
                "header",
                "host_and_port",
                "open_share",
                "port_number",
                "positive",
                "shard_of_n",
                "share",
                "share_above_0",
                "size",
                "two_or_three",
                "whole",
                "whole_or_auto",
            ],
            "command_parser": ["CommandParser", "nearest"],
            "commands": ["COMMANDS", "PROGRAM", "as_called"],
            "completion": ["complete"],
            "exit_codes": ["DONE", "FAILED", "GATE_NOT_MET", "INTERRUPTED", "exit_code_of"],
            "installation": ["how_to_install"],
            "interrupts": [
                "PATIENCE_S",
                "exit_quietly",
                "interrupt_once",
                "interrupts_withheld",
                "starting_processes",
            ],
            "masking": ["MASK", "without_secrets"],
            "options": [
                "CommandLine",
                "Groups",
                "Option",
                "Settings",
                "changed",
                "command_line",
                "flag_table",
                "option",
                "options_of",
                "parser_of",
                "settings_of",
                "words_of",
            ],
            "progress": ["progress_bar"],
            "standard_output": ["is_coloured", "note", "printable", "reader_may_leave", "say", "tell"],
        },
    )
