"""The flags of the comparison: what they are called, what they take, how they are explained."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable, Iterator

from benchmarks.datasets import EMBEDDED
from benchmarks.prompts import DEFAULT_PROMPT
from kimera import __version__
from kimera.commands import as_called
from kimera.flags import TakesFlags, flags_added_by
from kimera.pair_flags import FILES, add_pair_flags
from kimera.reactor_flags import add_old_name, add_reactor_flags, check_cache_flags, share, whole
from kimera.shards import shard

JUDGE, LIMITS, REACTOR = "judge", "limits and cost of the judge", "reactor"
# Beside an option of a run: what then does nothing, whole groups of flags or single ones.
WITHOUT_EFFECT = {
    "kimera_only": (JUDGE, LIMITS),
    "judge_only": (REACTOR,),
    "simulate": ("--base-url", "--api-key"),
    "no_cache": ("--cache-size", "--cache-dir"),
}
EPILOG = """\
examples:
  kimera compare --kimera-only                 no key, no network
  kimera compare --simulate --async 8          a simulated judge, no key, no network
  kimera compare --async 8                     GPT-4o, 8 requests in flight
  kimera compare --mp 4 --async 10             also run the reactor on 4 processes
  kimera compare pairs.csv --max-pairs 0 --async 16 --model gpt-4o --model gpt-4o-mini
  kimera compare --base-url http://localhost:8000/v1 --model NAME --async 4
  kimera compare pairs.csv --max-pairs 0 --async auto --max-cost 5
  kimera compare pairs.csv --max-pairs 0 --async 16 --cascade 0.02
  kimera compare --resume runs/2026-01-31_12-00-00

starting values for --async:
  up to 50 pairs 4 to 6, 50 to 200 pairs 8 to 12, above 200 pairs 10 to 20. If you know the
  endpoint's limits: its rate times its latency (500 requests per minute at 0.8 s keep 7 in flight).

gates, for CI:
  --fail-if "kimera.f1 < 0.8" --fail-if "gpt-4o.latency_ms.p95 > 2000" --fail-if "kimera/gpt-4o.kappa < 0.6"
  NAME is a detector (kimera, or a model), or two of them in the order of the table; METRIC any number of its
  in summary.json; figures with an interval have its ends, as in kimera.f1.low; OP is < <= > >= or ==.

exit codes: 0 done, 1 failed, 2 wrong usage, 3 a gate was not met, 130 interrupted
"""
FAIL_IF = "exit with code 3 if this is true, or if the figure is absent; may be given several times"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=as_called("kimera compare"),
        usage=as_called("kimera compare [DATASET] [flags]; --help explains them"),
        description="Compare the Kimera reactor, a local contradiction detector, with an LLM judge on the "
        "same pairs of statements: the quality, agreement, latency and failures of both.",
        epilog=as_called(EPILOG),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"kimera {__version__}")
    data = parser.add_argument_group("pairs")
    data.add_argument(
        "dataset",
        nargs="?",
        default=EMBEDDED,
        metavar="DATASET",
        help=f"{FILES}, - for standard input, hf:NAME[:SPLIT], or the embedded dataset {EMBEDDED} (the "
        "default)",
    )
    data.add_argument(
        "--max-pairs",
        type=whole(0),
        default=50,
        metavar="N",
        help="maximum number of pairs to use; a larger dataset is sampled by label; 0 uses all (default: 50)",
    )
    data.add_argument(
        "--seed", type=whole(0), default=0, metavar="N", help="seed of that sample (default: 0)"
    )
    data.add_argument(
        "--shard",
        type=shard,
        metavar="I/N",
        help="use only part I of N of the pairs, for a scheduler that starts N such processes. Once "
        + as_called("kimera cache merge has joined their caches, the reactor has nothing left to compute"),
    )
    add_pair_flags(data)
    detectors = parser.add_argument_group("detectors")
    sides = detectors.add_mutually_exclusive_group()
    sides.add_argument(
        "--kimera-only", action="store_true", help="run the reactor alone; needs no key and no network"
    )
    sides.add_argument("--judge-only", action="store_true", help="run the judge alone")
    sides.add_argument(
        "--cascade",
        type=open_share,
        metavar="RISK",
        help="ask the judge only about pairs that the reactor is not sure of. With 95 %% probability, at "
        "most this share (e.g. 0.02) of the contradictions that the judge would find is missed. A random "
        "sample goes to both first",
    )
    detectors.add_argument(
        "--max-sent",
        type=share_above_0,
        metavar="SHARE",
        help="with --cascade: maximum share of all pairs to send to the judge, including the sample; a "
        "smaller share causes more false alarms; 1 calls no pair a contradiction without asking the judge "
        "(default: the reactor's contradictions are accepted)",
    )
    add_old_name(detectors, "--most-sent", "max_sent", share_above_0)
    for title, add_flags in FLAGS_OF.items():
        add_flags(parser.add_argument_group(title))
    output = parser.add_argument_group("output")
    output.add_argument(
        "--out", metavar="DIR", help="folder to write the run to (default: runs/ and a timestamp)"
    )
    output.add_argument(
        "--resume",
        metavar="DIR",
        help="continue the run in DIR with its own settings; only missing and failed pairs are asked about",
    )
    output.add_argument(
        "--margin",
        type=positive,
        default=2.0,
        metavar="POINTS",
        help="margin of the equivalence test, in points of accuracy: two detectors shown to differ by less "
        "are called equivalent (default: 2)",
    )
    output.add_argument(
        "--fail-if", action="append", metavar="GATE", help=f'{FAIL_IF}, e.g. "kimera.f1 < 0.8"'
    )
    output.add_argument(
        "--max-failed",
        type=share,
        default=0.1,
        metavar="SHARE",
        help="exit with code 1 if a detector failed on more than this share of the pairs (default: 0.1)",
    )
    output.add_argument(
        "--prevalence",
        type=open_share,
        metavar="P",
        help="also report precision and cost as they would be if this share of the pairs were "
        "contradictions, e.g. 0.01",
    )
    output.add_argument("--no-viz", action="store_true", help="do not draw comparison.png")
    output.add_argument("--quiet", action="store_true", help="show no progress on standard error")
    output.add_argument("--json", action="store_true", help="print the summary as JSON on standard output")
    return parser


def _add_judge(group: TakesFlags) -> None:
    add_judge_flags(group)
    group.add_argument(
        "--simulate",
        action="store_true",
        help="use a simulated judge on this machine, which answers from the labels, instead of a model",
    )


def _add_reactor(group: TakesFlags) -> None:
    group.add_argument(
        "--reactor",
        choices=("screen", "verify", "both"),
        help="screen: sentence vectors and a head; verify: a cross-encoder that reads both texts together; "
        "both: run both, and take the verdict of verify (default: both; screen if --encoder or --head is "
        "given)",
    )
    add_reactor_flags(group)


def add_judge_flags(group: TakesFlags, prompt: str = DEFAULT_PROMPT) -> None:
    """Which judge is asked what, and how. prompt: the default of --prompt."""
    group.add_argument(
        "--async",
        dest="concurrency",
        type=_whole_or_auto,
        metavar="N",
        help="concurrency: keep N requests in flight, or let auto find how many the endpoint accepts "
        "(default: one at a time)",
    )
    group.add_argument(
        "--model",
        action="append",
        dest="models",
        metavar="NAME",
        help="the judge's model; repeat the flag for several judges (default: gpt-4o)",
    )
    group.add_argument(
        "--base-url",
        metavar="URL",
        help="base URL of an OpenAI-compatible endpoint (default: OPENAI_BASE_URL, or OpenAI's own)",
    )
    group.add_argument(
        "--api-key",
        metavar="KEY",
        help="the API key. Prefer to set OPENAI_API_KEY: other users of this machine can read the command "
        "line",
    )
    group.add_argument(
        "--timeout",
        type=positive,
        default=30.0,
        metavar="S",
        help="time limit of one attempt, in seconds (default: 30)",
    )
    group.add_argument(
        "--max-retries",
        type=whole(0),
        default=5,
        metavar="N",
        help="maximum number of retries for a pair after a fault or an unusable reply; rate limits (429) are "
        "retried up to four times as often (default: 5)",
    )
    group.add_argument(
        "--prompt",
        default=prompt,
        metavar="NAME|FILE",
        help="what to ask the judge: same-event (assume that both statements are about the same situation), "
        "collection (let the judge decide whether they are), strict (assume nothing; logic alone), or a text "
        "file with {text1} and {text2} (default: %(default)s)",
    )
    group.add_argument(
        "--header",
        action="append",
        dest="headers",
        type=_header,
        metavar="NAME:VALUE",
        help="HTTP header to send with every request; may be given several times",
    )
    group.add_argument(
        "--logprobs",
        action="store_true",
        help="take the confidence from the probability of the verdict's token, if the endpoint returns it",
    )
    group.add_argument(
        "--repeat",
        type=whole(1),
        default=1,
        metavar="K",
        help="ask about each pair K times and report how often verdicts change (default: 1)",
    )
    group.add_argument(
        "--swap",
        action="store_true",
        help="ask about each pair in both orders and report how often the verdicts disagree",
    )


def add_limit_flags(group: TakesFlags) -> None:
    """How fast a judge may be asked, and what ends the asking."""
    group.add_argument(
        "--rpm",
        type=positive,
        metavar="N",
        help="rate limit, in requests per minute (default: read from the replies)",
    )
    group.add_argument(
        "--tpm",
        type=positive,
        metavar="N",
        help="rate limit, in tokens per minute (default: read from the replies)",
    )
    group.add_argument(
        "--max-error-rate",
        type=share,
        metavar="R",
        help="stop the run if more than this share of the last 100 pairs failed, e.g. 0.2",
    )
    group.add_argument(
        "--price",
        metavar="IN,OUT",
        help="price of input and output, in dollars per million tokens (default: the list price, if known)",
    )
    group.add_argument(
        "--max-cost", type=positive, metavar="DOLLARS", help="stop the run before it costs more than this"
    )
    group.add_argument(
        "--dry-run",
        action="store_true",
        help="print what would be sent and what it would cost, but send nothing",
    )
    group.add_argument(
        "--cache-replies",
        action="store_true",
        help="keep the replies on disk, so that repeating the run costs nothing",
    )


# The groups of which some runs need no flag, by their titles in --help.
FLAGS_OF: dict[str, Callable[[TakesFlags], None]] = {
    JUDGE: _add_judge,
    LIMITS: add_limit_flags,
    REACTOR: _add_reactor,
}


def without_effect(given: argparse.Namespace, run: argparse.Namespace) -> Iterator[str]:
    """A note for each option of the run beside which flags of this command line do nothing; it names them.

    given: what this command line says; run: the same over the options of the run that goes on.
    Raises UserError for flags that contradict each other.
    """
    check_cache_flags(given)
    flags = {
        action.option_strings[0]: title
        for title, add_flags in FLAGS_OF.items()
        for action in flags_added_by(add_flags)
        if getattr(given, action.dest, action.default) != action.default
    }
    flags.pop("--dry-run", None)  # says of every run what it would send
    for name, idle in WITHOUT_EFFECT.items():
        named = [flag for flag, group in flags.items() if flag in idle or group in idle]
        if named and getattr(run, name):
            yield f"without effect beside --{name.replace('_', '-')}: {', '.join(named)}"
    if given.ray_address and run.engine == "local":
        yield "--ray-address has no effect without --engine ray"


def _whole_or_auto(text: str) -> int | str:
    if text == "auto":
        return text
    if text.isascii() and text.isdigit() and int(text) >= 1:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is neither a whole number of at least 1 nor auto")


def _header(text: str) -> tuple[str, str]:
    name, separator, value = text.partition(":")
    if not separator or not name.strip() or not (text.isprintable() and text.isascii()):
        raise argparse.ArgumentTypeError(f"{name!r} is not of the form NAME:VALUE in plain ASCII")
    return name.strip(), value.strip()


def open_share(text: str) -> float:
    """For argparse: a share between 0 and 1, neither of them."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 1:
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a share between 0 and 1, such as 0.02")


def share_above_0(text: str) -> float:
    """For argparse: a share above 0, at most 1."""
    return 1.0 if share(text) == 1 else open_share(text)


def positive(text: str) -> float:
    """For argparse: a finite number above 0."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < float("inf"):
            return float(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
