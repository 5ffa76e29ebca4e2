"""The settings of a comparison, each declared once: flags, a run's header and --resume follow from them."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from benchmarks.data import EMBEDDED
from benchmarks.judge import (
    AUTO,
    BATCH_SIZE,
    CHOICES,
    DEFAULT_JUDGE,
    DEFAULT_PROMPT,
    REASONING_FIRST,
    REASONING_LAST,
    LoopChoice,
    pairs_per_request,
    parameter,
    stated_price,
)
from benchmarks.panel import RULES, Rule
from benchmarks.wanted_labels import WantedLabels, wanted_labels
from kimera.console import (
    CommandLine,
    Groups,
    header,
    open_share,
    option,
    options_of,
    positive,
    shard_of_n,
    share,
    share_above_0,
    two_or_three,
    whole,
    whole_or_auto,
)
from kimera.errors import UserError
from kimera.files import FILES, PairSettings
from kimera.local_names import absolute_name
from kimera.local_settings import LocalSettings
from kimera.reactor_settings import ReactorSettings, check_cache, idle_address
from kimera.reactor_stages import ASKED, HELP

if TYPE_CHECKING:
    from kimera.models import MapName
    from kimera.reactor_stages import Stages

DEFAULT_SHOTS = 4
FAIL_IF = "exit with code 3 if this is true, or if the figure is absent; may be given several times"


def _odd(text: str) -> int:
    """Of votes, so that there is a majority."""
    if not (text.isascii() and text.isdigit() and int(text) >= 3 and int(text) % 2):
        raise ArgumentTypeError(f"{text!r} is not an odd number of at least 3")
    return int(text)


@dataclass(frozen=True, kw_only=True)
class _SampleSettings:
    """Which pairs of which dataset."""

    dataset: str = option(
        EMBEDDED,
        nargs="?",
        metavar="DATASET",
        identity=True,
        path=True,
        help=f"{FILES}, - for standard input, hf:NAME[:SPLIT], or an embedded dataset: {EMBEDDED} (the "
        "default) or kimera-hard",
    )
    max_pairs: int = option(
        50,
        "--max-pairs",
        type=whole(0),
        metavar="N",
        identity=True,
        help="maximum number of pairs to use; a larger dataset is sampled by label; 0 uses all (default: "
        "%(default)s)",
    )
    seed: int = option(
        0,
        "--seed",
        type=whole(0),
        metavar="N",
        identity=True,
        help="seed of that sample (default: %(default)s)",
    )
    shard: str | None = option(
        None,
        "--shard",
        type=shard_of_n,
        metavar="I/N",
        identity=True,
        help="use only part I of N of the pairs, for a scheduler that starts N such processes. Once "
        "kimera cache merge has joined their caches, the reactor has nothing left to compute",
    )
    label_weights: str | None = option(
        None,
        "--label-weights",
        metavar="COLUMN",
        identity=True,
        help="where only some pairs are labelled: the column with the probability with which each of these "
        "was drawn to be labelled, above 0 and up to 1. Without it, they are taken as drawn at random",
    )


@dataclass(frozen=True, kw_only=True)
class _DetectorSettings:
    """Which detectors are compared, and whether they form a cascade or a panel."""

    kimera_only: bool = option(
        False,
        "--kimera-only",
        also=("--local-only",),
        exclusive="detectors",
        overrules=("max_sent",),
        identity=True,
        help="run no judge, only what computes on this machine: the reactor, or each --local; needs no key "
        "and no network",
    )
    judge_only: bool = option(
        False,
        "--judge-only",
        exclusive="detectors",
        overrules=("max_sent",),
        identity=True,
        help="run the judge alone, and no local detector",
    )
    cascade: float | None = option(
        None,
        "--cascade",
        type=open_share,
        exclusive="detectors",
        metavar="RISK",
        identity=True,
        help="ask the judge only about pairs that the local detector is not sure of. With 95 %% probability, "
        "at most this share (e.g. 0.02) of the contradictions that the judge would find is missed. A random "
        "sample goes to both first",
    )
    first: str | None = option(
        None,
        "--first",
        metavar="NAME",
        identity=True,
        outward=True,
        kept=absolute_name,
        help="with --cascade: the local detector that goes first, as --local names it (default: the first of "
        "them)",
    )
    then: tuple[str, ...] = option(
        (),
        "--then",
        repeated=True,
        metavar="NAME",
        identity=True,
        outward=True,
        kept=absolute_name,
        help="with --cascade: the next one, which gets what those before it are not sure of (--sure), and "
        "the judge after it; may be given several times",
    )
    max_sent: float | None = option(
        None,
        "--max-sent",
        type=share_above_0,
        metavar="SHARE",
        old=("--most-sent",),
        identity=True,
        help="with --cascade: maximum share of all pairs to send to the judge, including the sample; a "
        "smaller share causes more false alarms; 1 calls no pair a contradiction without asking the judge "
        "(default: the local detector's contradictions are accepted)",
    )
    panel: Rule | None = option(
        None,
        "--panel",
        choices=RULES,
        identity=True,
        help="also report what the judges of the run, two or more, say together: majority (more than half of "
        "them decide), mean (of their scores), unanimous (a contradiction only where all say so)",
    )
    threshold: tuple[str, ...] = option(
        (),
        "--threshold",
        repeated=True,
        metavar="NAME=VALUE",
        identity=True,
        help="score from which on this local detector calls a pair a contradiction (default: 0.5); repeat "
        "the flag for several. Scores are moved with it, in their order, so that it becomes 0.5",
    )


@dataclass(frozen=True, kw_only=True)
class JudgeSettings:
    """Which judge is asked what, and how."""

    concurrency: int | Literal["auto"] | None = option(
        None,
        "--async",
        type=whole_or_auto,
        metavar="N",
        help="concurrency: keep N requests in flight, or let auto find how many the endpoint accepts "
        "(default: one at a time)",
    )
    loop: LoopChoice = option(
        "auto",
        "--loop",
        choices=("auto", "asyncio", "uvloop"),
        help="event loop that carries the requests; auto takes uvloop where it is installed (default: "
        "%(default)s)",
    )
    models: tuple[str, ...] = option(
        (),
        "--model",
        repeated=True,
        metavar="NAME",
        identity=True,
        help="the judge's model; repeat the flag for several judges (default: KIMERA_MODEL, or "
        f"{DEFAULT_JUDGE})",
    )
    protocol: str = option(
        AUTO,
        "--protocol",
        choices=CHOICES,
        identity=True,
        outward=True,
        help="which API the judge's endpoint speaks; auto takes the one that belongs to the host of "
        "--base-url where that is certain, else chat-completions (default: %(default)s)",
    )
    base_url: str | None = option(
        None,
        "--base-url",
        metavar="URL",
        identity=True,
        outward=True,
        help="base URL of an OpenAI-compatible endpoint (default: OPENAI_BASE_URL, or OpenAI's own; another "
        "--protocol has its own variable and default)",
    )
    api_key: str | None = option(
        None,
        "--api-key",
        metavar="KEY",
        secret=True,
        variable="OPENAI_API_KEY",
        help="the API key. Prefer to set OPENAI_API_KEY, or the variable of another --protocol: other users "
        "of this machine can read the command line",
    )
    timeout: float = option(
        30.0,
        "--timeout",
        type=positive,
        metavar="S",
        help="time limit of one attempt, in seconds (default: %(default)g)",
    )
    max_retries: int = option(
        5,
        "--max-retries",
        type=whole(0),
        metavar="N",
        help="maximum number of retries for a pair after a fault or an unusable reply; rate limits (429) are "
        "retried up to four times as often (default: %(default)s)",
    )
    params: tuple[str, ...] = option(
        (),
        "--param",
        type=parameter,
        repeated=True,
        metavar="[MODEL:]NAME=VALUE",
        identity=True,
        help="parameter to send with every request, or with those to one model: reasoning_effort=low, "
        "service_tier=flex, top_p=0.9, chat_template_kwargs.enable_thinking=false; may be given several "
        "times. The value is read as JSON if it is that, dots lead into objects, and a refusal of it "
        "before the first answer ends the run",
    )
    prompt: str = option(
        DEFAULT_PROMPT,
        "--prompt",
        metavar="NAME|FILE",
        identity=True,
        path=True,
        help="what to ask the judge: same-event (assume that both statements are about the same situation), "
        "collection (let the judge decide whether they are), strict (assume nothing; logic alone), or a text "
        "file with {text1} and {text2} (default: %(default)s)",
    )
    classes: int = option(
        2,
        "--classes",
        type=two_or_three,
        metavar="2|3",
        identity=True,
        help="how many classes to ask the judge for: 2, contradiction or not, or 3, contradiction, "
        "entailment or neutral (default: %(default)s)",
    )
    reasoning: str = option(
        REASONING_LAST,
        "--reasoning",
        choices=(REASONING_LAST, REASONING_FIRST),
        identity=True,
        help="whether the judge states its verdict first and its reasoning last, or reasons first: which is "
        "slower and dearer, may help a model that does not think by itself, and makes --logprobs measure "
        "less (default: %(default)s)",
    )
    examples: str | None = option(
        None,
        "--examples",
        metavar="FILE",
        identity=True,
        path=True,
        help="labelled pairs of which a few are shown to the judge with their answers; none that this run "
        "judges is shown",
    )
    shots: int | None = option(
        None,
        "--shots",
        type=whole(1),
        metavar="K",
        identity=True,
        help="how many of --examples to show, as many of each answer; --seed decides which (default: "
        f"{DEFAULT_SHOTS})",
    )
    headers: tuple[tuple[str, str], ...] = option(
        (),
        "--header",
        type=header,
        repeated=True,
        metavar="NAME:VALUE",
        secret=True,
        outward=True,
        help="HTTP header to send with every request; may be given several times",
    )
    logprobs: bool = option(
        False,
        "--logprobs",
        identity=True,
        help="take the confidence from the probability of the verdict's token, if the endpoint returns it",
    )
    repeat: int = option(
        1,
        "--repeat",
        type=whole(1),
        metavar="K",
        identity=True,
        help="ask about each pair K times and report how often verdicts change (default: %(default)s)",
    )
    votes: int | None = option(
        None,
        "--votes",
        type=_odd,
        metavar="K",
        identity=True,
        help="ask about each pair K times, an odd number, at the model's own temperature: the majority is "
        "the verdict, and the share of votes its score",
    )
    pairs_per_request: int = option(
        1,
        "--pairs-per-request",
        type=pairs_per_request,
        metavar="N",
        identity=True,
        help="ask about N pairs in one request, which is cheaper and may change verdicts; pairs that a reply "
        "leaves out are asked about alone (default: %(default)s)",
    )
    swap: bool = option(
        False,
        "--swap",
        identity=True,
        help="ask about each pair in both orders and report how often the verdicts disagree",
    )


@dataclass(frozen=True, kw_only=True)
class LimitSettings:
    """How fast a judge may be asked, and what ends the asking."""

    rpm: float | None = option(
        None,
        "--rpm",
        type=positive,
        metavar="N",
        help="rate limit, in requests per minute (default: read from the replies)",
    )
    tpm: float | None = option(
        None,
        "--tpm",
        type=positive,
        metavar="N",
        help="rate limit, in tokens per minute (default: read from the replies)",
    )
    max_error_rate: float | None = option(
        None,
        "--max-error-rate",
        type=share,
        metavar="R",
        help="stop the run if more than this share of the last 100 pairs failed, e.g. 0.2",
    )
    price: tuple[str, ...] = option(
        (),
        "--price",
        type=stated_price,
        repeated=True,
        metavar="[MODEL:]IN,OUT",
        help="price of input and output, in dollars per million tokens, of every judge or of one; or "
        "IN,CACHED,OUT, or IN,CACHED,WRITTEN,OUT with those of input read from a cache and put into one; may "
        "be given several times (default: the list price, if known)",
    )
    max_cost: float | None = option(
        None,
        "--max-cost",
        type=positive,
        metavar="DOLLARS",
        help="stop the run before it costs more than this",
    )
    dry_run: bool = option(
        False,
        "--dry-run",
        exclusive="sends nothing",
        one_session=True,
        help="print what would be sent and what it would cost, but send nothing",
    )
    cache_replies: bool = option(
        False,
        "--cache-replies",
        help="keep the replies on disk, so that repeating the run costs nothing",
    )


@dataclass(frozen=True, kw_only=True)
class _OutputSettings:
    """What is written, and what the command ends with."""

    out: str | None = option(
        None,
        "--out",
        metavar="DIR",
        one_session=True,
        outward=True,
        help="folder to write the run to (default: runs/ and a timestamp)",
    )
    resume: str | None = option(
        None,
        "--resume",
        metavar="DIR",
        one_session=True,
        outward=True,
        help="continue the run in DIR with its own settings; only missing and failed pairs are asked about",
    )
    margin: float = option(
        2.0,
        "--margin",
        type=positive,
        metavar="POINTS",
        identity=True,
        help="margin of the equivalence test, in points of accuracy: two detectors shown to differ by less "
        "are called equivalent (default: %(default)g)",
    )
    fail_if: tuple[str, ...] = option(
        (), "--fail-if", repeated=True, metavar="GATE", help=f'{FAIL_IF}, e.g. "kimera.f1 < 0.8"'
    )
    max_failed: float = option(
        0.1,
        "--max-failed",
        type=share,
        metavar="SHARE",
        help="exit with code 1 if a detector failed on more than this share of the pairs (default: "
        "%(default)s)",
    )
    prevalence: float | None = option(
        None,
        "--prevalence",
        type=open_share,
        metavar="P",
        identity=True,
        help="also report precision and cost as they would be if this share of the pairs were "
        "contradictions, e.g. 0.01",
    )
    calibrate: MapName | None = option(
        None,
        "--calibrate",
        choices=("platt", "isotonic"),
        identity=True,
        help="also report how good the scores are once calibrated on the labels, by Platt's method or "
        "isotonic regression; no pair's own label decides about its score",
    )
    no_viz: bool = option(False, "--no-viz", help="do not draw comparison.png")
    quiet: bool = option(False, "--quiet", one_session=True, help="show no progress on standard error")
    verbose: bool = option(
        False,
        "--verbose",
        one_session=True,
        help="print all that summary.md holds, before the decisions",
    )
    json: bool = option(
        False, "--json", one_session=True, help="print the summary as JSON on standard output"
    )


@dataclass(frozen=True, kw_only=True)
class RunSettings(
    _SampleSettings,
    PairSettings,
    _DetectorSettings,
    JudgeSettings,
    LimitSettings,
    LocalSettings,
    ReactorSettings,
    _OutputSettings,
):
    """What `kimera compare` takes: all that a run is made from."""

    GROUPS: ClassVar[Groups] = {
        "pairs": (_SampleSettings, PairSettings),
        "detectors": (_DetectorSettings,),
        "judge": (JudgeSettings, "simulate", "batch", "batch_requests"),
        "limits and cost of the judge": (LimitSettings, "batch_price", "plan"),
        "local detectors": (LocalSettings,),
        "reactor": ("reactor", ReactorSettings),
        "output": (_OutputSettings,),
    }
    simulate: bool = option(
        False,
        "--simulate",
        identity=True,
        help="use a simulated judge on this machine, which answers from the labels, instead of a model",
    )
    batch: bool = option(
        False,
        "--batch",
        identity=True,
        help="ask through the provider's batch API, at half the price: answered within a day, often sooner; "
        "leave with Ctrl-C, and collect with --resume",
    )
    batch_requests: int = option(
        BATCH_SIZE,
        "--batch-requests",
        type=whole(1),
        metavar="N",
        help="requests of one batch at most, and as many under way at a time: the next are submitted once "
        "these have come back; all of them are held in memory (default: %(default)s)",
    )
    batch_price: tuple[str, ...] = option(
        (),
        "--batch-price",
        type=stated_price,
        repeated=True,
        metavar="[MODEL:]IN,OUT",
        help="price of batches, in the forms of --price (default: half of --price or the list price)",
    )
    plan: WantedLabels | None = option(
        None,
        "--plan",
        type=wanted_labels,
        metavar="width=W|difference=D",
        exclusive="sends nothing",
        one_session=True,
        help="print how many labels and judge calls it takes for accuracies within W (0.03) on either side, "
        "or for a difference of D (0.05) to be told, and what that costs; sends nothing. All pairs count "
        "unless --max-pairs is given. After commas, what to reckon with: contradictions=, local-accuracy=, "
        "judge-accuracy=, agreement= (shares), labels-per-hour=",
    )
    reactor: Stages | None = option(
        None,
        "--reactor",
        choices=ASKED,
        identity=True,
        help=f"{HELP} (default: both; screen if --encoder or --head is given)",
    )

    @property
    def asks_simulator(self) -> bool:
        """Whether answers come from the labels, so that only labelled pairs can be asked about."""
        return self.simulate and not self.kimera_only

    @property
    def sends_nothing(self) -> bool:
        """Whether it only says what a run would send, or take."""
        return self.dry_run or self.plan is not None


_BATCHES = ("batch_requests", "batch_price")
_JUDGES = (*options_of(JudgeSettings), "simulate", "batch", *_BATCHES, *options_of(LimitSettings))
# Beside a setting of a run: what then does nothing. --dry-run says of every run what it would send.
WITHOUT_EFFECT = {
    "kimera_only": [name for name in _JUDGES if name != "dry_run"],
    "judge_only": [*options_of(LocalSettings), "threshold", "reactor", *options_of(ReactorSettings)],
    "simulate": ["base_url", "api_key"],
    "no_cache": ["cache_size", "cache_dir"],
    "votes": ["logprobs"],
    "batch": ["concurrency", "rpm", "tpm"],
}


def without_effect(told: CommandLine[RunSettings], run: RunSettings) -> Iterator[str]:
    """A note for each setting of the run beside which flags of this command line do nothing; it names them.

    run: the settings of the run that goes on; of one that begins those of the command line. What a
    configuration file says is meant for many runs, and not held against this one. Raises UserError for
    settings that contradict each other.
    """
    check_cache(told.settings)
    if {"batch", "concurrency"} <= told.flags:
        raise UserError(
            "--batch and --async contradict each other: a batch is answered as its provider likes"
        )
    declared = options_of(RunSettings)
    for name, idle in WITHOUT_EFFECT.items():
        flags = [declared[other].flag for other in idle if other in told.flags]
        if flags and getattr(run, name):
            yield f"without effect beside {declared[name].flag}: {', '.join(flags)}"
    if not run.batch and (flags := [declared[name].flag for name in _BATCHES if name in told.flags]):
        yield f"without effect unless --batch is given: {', '.join(flags)}"
    yield from idle_address(told.settings.ray_address, run.engine)
