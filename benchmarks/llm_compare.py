"""The command line, python -m benchmarks.llm_compare: reads flags, calls the parts, prints the summary."""

from __future__ import annotations

if __name__ == "__main__":
    from kimera.interrupts import exit_quietly

    exit_quietly()

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.options import build_parser, without_effect
from kimera import __version__
from kimera.errors import UserError
from kimera.exit_codes import DONE, FAILED, INTERRUPTED, exit_code_of
from kimera.reactor_flags import reactor_of

if TYPE_CHECKING:
    from benchmarks.comparison import Comparison, Detector
    from benchmarks.datasets import Dataset
    from benchmarks.openai_async import AsyncOpenAIClient
    from benchmarks.pricing import CostLimit, Price
    from benchmarks.prompts import Prompt
    from kimera.reactor import Reactor

    Show = Callable[[argparse.Namespace, dict[str, Any], Path], object]

COMMAND = "python -m benchmarks.llm_compare"
SIMULATED_NAME = "simulated-judge"
DEFAULT_MODEL = "gpt-4o"
# What --simulate asks: fast enough to watch, wrong often enough to be worth a comparison.
SIMULATED_LATENCY_MS, SIMULATED_SPREAD_MS, SIMULATED_ERROR_RATE = 200.0, 80.0, 0.05


def main(argv: Sequence[str] | None = None) -> int:
    given = build_parser().parse_args(argv)
    return exit_code_of(lambda: _begin_or_go_on(given, argv))


def _begin_or_go_on(given: argparse.Namespace, argv: Sequence[str] | None) -> int:
    options, header = given, None
    if given.resume:
        from benchmarks.run_folder import resumed_options

        _check_resumable(given)
        options, header = resumed_options(argv, given.resume, build_parser())
    for note in without_effect(given, options):
        _note(note)
    return run_comparison(options, header, COMMAND, _print)


def run_comparison(
    options: argparse.Namespace,
    header: dict[str, Any] | None,
    command: str,
    show: Show,
) -> int:
    """Compares the detectors of these flags, and gives the exit code.

    header: of the run that goes on, None where one begins. command: what goes on with it where it ends early.
    show: is given the flags, the summary and the run's folder.
    """
    from benchmarks.gates import exit_code_with, known_figures, parse_gates, parts_of
    from benchmarks.prompts import load_prompt
    from benchmarks.run_folder import check_same, header_of, new_run_folder

    check_judge(options)
    gates = parse_gates(options.fail_if, known_figures(_names(options)))
    now = datetime.now().astimezone()
    prompt = load_prompt(options.prompt)
    dataset = _load_dataset(options)
    if header:  # a path may read differently from where the run goes on
        dataset = replace(dataset, name=header["dataset"]["name"])
    if options.dry_run:
        return _dry_run(options, dataset, prompt)
    with contextlib.ExitStack() as stack:
        reactor = None if options.judge_only else reactor_of(options, options.reactor)
        identity = _identity(options, dataset, prompt, reactor)
        if header:
            check_same(options.resume, header, identity)
        detectors = _detectors(options, dataset, prompt, reactor, stack)
        folder = Path(options.resume) if header else new_run_folder(options.out, now)
        created = header["created"] if header else now.isoformat(timespec="seconds")
        new_header = None if header else header_of(options, created, identity)
        if not options.quiet:
            print(f"run folder: {folder}", file=sys.stderr)
        # The folder exists from here on: what goes wrong now ends a run that can go on.
        try:
            comparison = _compare(options, dataset, detectors, folder, created, new_header)
            summary = _report(options, comparison, dataset, folder, show)
        except KeyboardInterrupt:
            print(f"interrupted; {_way_on(command, folder)}", file=sys.stderr)
            return INTERRUPTED
        except (UserError, OSError) as error:
            print(f"error: {error}\n{_way_on(command, folder)}", file=sys.stderr)
            return FAILED
    return exit_code_with(gates, parts_of(summary), _exit_code(options, comparison, command, folder))


def _check_resumable(options: argparse.Namespace) -> None:
    if options.dry_run:
        raise UserError("--dry-run counts a whole run, not what is left of one: not allowed with --resume")


def check_judge(options: argparse.Namespace) -> None:
    """Raises UserError where no judge can be asked, or not as a cascade."""
    configured = options.api_key or os.environ.get("OPENAI_API_KEY")
    elsewhere = options.base_url or os.environ.get("OPENAI_BASE_URL")
    if not (options.kimera_only or options.simulate or options.dry_run or configured or elsewhere):
        raise UserError(
            "no judge to ask. Four ways on:\n"
            "  OPENAI_API_KEY=...   set the key in the environment, to ask OpenAI's API\n"
            "  --simulate           a simulated judge, offline; its answers come from the labels\n"
            "  --base-url URL       another OpenAI-compatible endpoint, a local server for instance\n"
            "  --kimera-only        the reactor alone"
        )
    if options.most_sent and not options.cascade:
        raise UserError("--most-sent says how far --cascade RISK may go; give both")
    if options.cascade and len(_models(options)) > 1:
        raise UserError("--cascade takes one judge; give --model once")


def _load_dataset(options: argparse.Namespace) -> Dataset:
    from benchmarks.datasets import load_dataset
    from kimera.pair_files import dropped_rows, parse_label_map

    bad_rows: list[str] = []
    dataset = load_dataset(
        options.dataset,
        max_pairs=options.max_pairs,
        seed=options.seed,
        shard=options.shard,
        label_map=parse_label_map(options.label_map) if options.label_map else None,
        skip_bad_rows=options.skip_bad_rows,
        on_bad_row=bad_rows.append,
    )
    if bad_rows:
        _note(dropped_rows(bad_rows))
    if dataset.no_gold_label:
        _note(f"{dataset.no_gold_label} rows without a gold label were dropped")
    asks_simulator = options.simulate and not options.kimera_only
    if asks_simulator and not (dataset.labels >= 0).all():
        raise UserError("--simulate answers from the labels, and this dataset has rows without one")
    return dataset


def _identity(
    options: argparse.Namespace, dataset: Dataset, prompt: Prompt, reactor: Reactor | None
) -> dict[str, Any]:
    """The hashes that tell whether a run which goes on is still the same run."""
    identity: dict[str, Any] = {
        "version": __version__,
        "dataset": {"name": dataset.name, "sha256": dataset.sha256, "pairs": len(dataset)},
    }
    if not options.kimera_only:
        identity["judge"] = {
            "models": _models(options),
            "base_url": "simulated" if options.simulate else _base_url(options),
        }
        identity["prompt"] = {"name": prompt.name, "version": prompt.version, "sha256": prompt.sha256}
    if reactor:
        identity["reactor"] = {**reactor.fingerprints, "symmetric": reactor.symmetric}
    return identity


def _detectors(
    options: argparse.Namespace,
    dataset: Dataset,
    prompt: Prompt,
    reactor: Reactor | None,
    stack: contextlib.ExitStack,
) -> list[Detector]:
    from benchmarks.comparison import JudgeDetector, JudgeOptions, ReactorDetector
    from benchmarks.finished_run import plan_of
    from benchmarks.results import REACTOR_NAME

    detectors: list[Detector] = []
    if reactor:
        detectors.append(ReactorDetector(reactor, options.mp, REACTOR_NAME))
    if options.kimera_only:
        return detectors
    simulator = stack.enter_context(_simulator(dataset, prompt, options.swap)) if options.simulate else None
    limits: list[CostLimit] = []
    plan = plan_of(vars(options))
    for model in _models(options):
        client, price = _client(options, model, prompt, simulator, limits)
        judging = JudgeOptions(
            options.repeat, options.swap, options.logprobs, options.max_error_rate, price, plan
        )
        asked = options.concurrency or 1
        detectors.append(JudgeDetector(client, model, asked, simulated=options.simulate, options=judging))
    return detectors


def _base_url(options: argparse.Namespace) -> str:
    from benchmarks.endpoint import resolved_base_url

    return resolved_base_url(options.base_url)


def _models(options: argparse.Namespace) -> list[str]:
    from benchmarks.results import REACTOR_NAME

    models = options.models or [SIMULATED_NAME if options.simulate else DEFAULT_MODEL]
    if len({*models, REACTOR_NAME}) <= len(models):
        raise UserError(f"--model: each needs a name of its own, and {REACTOR_NAME!r} is the reactor's")
    return models


def _names(options: argparse.Namespace) -> list[str]:
    """Of all detectors that the summary will tell of, in its order."""
    from benchmarks.cascade_run import CASCADE_NAME
    from benchmarks.results import REACTOR_NAME

    reactor = [] if options.judge_only else [REACTOR_NAME]
    cascade = [CASCADE_NAME] if options.cascade else []
    return reactor + ([] if options.kimera_only else _models(options)) + cascade


def _client(
    options: argparse.Namespace,
    model: str,
    prompt: Prompt,
    simulator: str | None,
    limits: list[CostLimit],
) -> tuple[AsyncOpenAIClient, Price | None]:
    from benchmarks.openai_async import AsyncOpenAIClient
    from benchmarks.pricing import CostLimit
    from benchmarks.rates import RateLimits
    from benchmarks.reply_cache import ReplyCache
    from benchmarks.transports import httpx_available

    concurrency = options.concurrency or 1
    if concurrency != 1 and not httpx_available():
        _note(f"httpx is not installed, so --async {concurrency} becomes sync mode: one request at a time")
        concurrency = 1
    client = AsyncOpenAIClient(
        "none" if simulator else options.api_key,
        model,
        concurrency,
        simulator or options.base_url,
        options.timeout,
        options.max_retries,
        prompt=prompt,
        headers=dict(options.headers or ()),
        rates=RateLimits(options.rpm, options.tpm),
        replies=ReplyCache() if options.cache_replies else None,
        logprobs=options.logprobs,
    )
    price = _price(options, model, client.endpoint.base_url)
    if options.max_cost and not price:
        raise UserError(f"--max-cost needs a price, and none is known of {model}: give --price IN,OUT")
    if options.max_cost and price:
        client.cost_limit = CostLimit(options.max_cost, price, limits)
    return client, price


def _price(options: argparse.Namespace, model: str, base_url: str) -> Price | None:
    from benchmarks.pricing import parse_price, price_of

    return parse_price(options.price) if options.price else price_of(model, base_url)


@contextlib.contextmanager
def _simulator(dataset: Dataset, prompt: Prompt, swap: bool) -> Iterator[str]:
    """The base URL of a simulated judge that knows the dataset's labels."""
    from benchmarks.simulation import SimulatorConfig, answers_for
    from benchmarks.simulator import SimulatorProcess

    config = SimulatorConfig(
        latency_ms=SIMULATED_LATENCY_MS, spread_ms=SIMULATED_SPREAD_MS, error_rate=SIMULATED_ERROR_RATE
    )
    with SimulatorProcess(config, answers_for(dataset, prompt.question, swap)) as server:
        yield server.base_url


def _dry_run(options: argparse.Namespace, dataset: Dataset, prompt: Prompt) -> int:
    """Says what a run would send. Nothing is sent, so no key is needed."""
    import numpy as np

    from benchmarks.finished_run import plan_of
    from benchmarks.pricing import estimate

    if options.json:
        raise UserError("--dry-run prints no summary, so --json does not go with it")
    base_url = "the built-in simulator" if options.simulate else _base_url(options)
    askings = options.repeat * (2 if options.swap else 1)
    for model in [] if options.kimera_only else _models(options):
        price = _price(options, model, base_url)
        texts = (
            "".join(message["content"] for message in prompt.messages(pair.text1, pair.text2))
            for pair in dataset
            for _ in range(askings)
        )
        expected = estimate(texts, price)
        cost = "no price known" if expected.dollars is None else f"about ${expected.dollars:.4f}"
        print(
            f"{model} at {base_url}: {expected.requests:,} requests, about {expected.prompt_tokens:,} prompt "
            f"and {expected.completion_tokens:,} completion tokens (estimated, retries not counted), {cost}"
        )
        if price and expected.dollars is not None:
            print(_enough(options, expected.dollars, price, model, dataset, prompt))
    if plan := plan_of(vars(options)):
        share = dataset.contradictions / len(dataset) if dataset.contradictions else 1 / 3
        sampled = plan.first_sample(np.full(len(dataset), share))
        print(
            f"--cascade {plan.risk:g}: about {sampled:,} of these pairs, drawn at random, if {share:.0%} of "
            "them contradict; of the others those that the reactor is not sure of. The above is the most."
        )
    print(f"Dry run over {dataset.name}, {len(dataset):,} pairs: nothing was sent.")
    return DONE


def _enough(
    options: argparse.Namespace, dollars: float, price: Price, model: str, dataset: Dataset, prompt: Prompt
) -> str:
    """Which --max-cost does not get in the way of a run that is expected to cost so much."""
    from benchmarks.adaptive import START
    from benchmarks.dialect import Dialect
    from benchmarks.pricing import worst_case

    dialect = Dialect()
    longest = max(len(dialect.body(model, prompt.messages(pair.text1, pair.text2))) for pair in dataset)
    aside = price.cost(worst_case(price, longest, dialect.most_tokens))
    in_flight = START if options.concurrency == "auto" else options.concurrency or 1
    return (
        f"  --max-cost sets up to ${aside:.4f} aside for each request in flight, until its reply tells its "
        f"cost: ${dollars + aside * in_flight:.4f} would do; less holds the run back or ends it early"
    )


def _compare(
    options: argparse.Namespace,
    dataset: Dataset,
    detectors: list[Detector],
    folder: Path,
    created: str,
    new_header: dict[str, Any] | None,
) -> Comparison:
    """new_header: of a run that begins; None where one goes on."""
    from benchmarks.comparison import compare
    from benchmarks.finished_run import plan_of
    from benchmarks.journal import Journal, JournalReader
    from benchmarks.run_folder import JOURNAL

    path = folder / JOURNAL
    with Journal(path, header=new_header) as journal, contextlib.ExitStack() as stack:
        earlier = None if new_header else stack.enter_context(JournalReader(path))
        return compare(
            dataset,
            detectors,
            journal,
            earlier,
            created=created,
            seed=options.seed,
            plan=plan_of(vars(options)),
            quiet=options.quiet,
        )


def _report(
    options: argparse.Namespace,
    comparison: Comparison,
    dataset: Dataset,
    folder: Path,
    show: Show,
) -> dict[str, Any]:
    from benchmarks.outcomes import rows_of
    from benchmarks.report import write_report
    from benchmarks.run_folder import JOURNAL
    from kimera.standard_output import reader_may_leave

    rows = rows_of(dataset, comparison.recorders, comparison.run, folder / JOURNAL)
    summary = write_report(
        comparison.run,
        rows,
        folder,
        margin=options.margin / 100,
        prevalence=options.prevalence,
        viz=not options.no_viz,
    )
    with reader_may_leave():
        show(options, summary, folder)
    return summary


def _print(options: argparse.Namespace, summary: dict[str, Any], folder: Path) -> None:
    from benchmarks.report import print_summary

    if options.json:
        print(json.dumps(summary, indent=2))
    else:
        print_summary(summary, folder, viz=not options.no_viz)


def _exit_code(options: argparse.Namespace, comparison: Comparison, command: str, folder: Path) -> int:
    """Says what ended a detector early, or that it answered nothing."""
    from benchmarks.comparison import INTERRUPTED as BY_CTRL_C
    from benchmarks.judge import REMEDIES

    stopped_by = comparison.stopped_by
    for name, failure in stopped_by.items():
        remedy = f"; {REMEDIES[failure.kind]}" if failure.kind in REMEDIES else ""
        print(f"error: {name} stopped early: {failure.kind}: {failure.message}{remedy}", file=sys.stderr)
    if stopped_by:
        spent = any(failure.kind == "max_cost" for failure in stopped_by.values())
        more = f" --max-cost DOLLARS, with more than {options.max_cost:g}" if spent else ""
        print(_way_on(command, folder) + more, file=sys.stderr)
        return INTERRUPTED if BY_CTRL_C in stopped_by.values() else FAILED
    silent = [result.name for result in comparison.run.detectors if not result.answered.any()]
    for name in silent:
        print(f"error: {name} gave no verdict on any pair; results.csv says why", file=sys.stderr)
    return FAILED if silent else DONE


def _way_on(command: str, folder: Path) -> str:
    return f"go on with: {command} --resume {folder}"


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
