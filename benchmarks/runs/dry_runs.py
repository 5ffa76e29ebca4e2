"""What a comparison would send to its judges, and what that would cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.datasets import Dataset
from benchmarks.detector_info import judge_info
from benchmarks.judge import (
    START,
    Price,
    Prompt,
    estimate,
    form_asked_first,
    in_dollars,
    require_batches,
    typical_completion_tokens,
    worst_case,
    written_into,
)
from benchmarks.runs.requested_detectors import judges_of, plan_of
from benchmarks.runs.requested_judges import judges_base_url, parameters_of, price_for, protocol_of
from benchmarks.settings import RunSettings
from kimera.console import DONE
from kimera.errors import UserError


def dry_run(settings: RunSettings, dataset: Dataset, prompt: Prompt) -> int:
    """Says what a run would send. Nothing is sent, so no key is needed."""
    if settings.json:
        raise UserError("--dry-run prints no summary, so it cannot be combined with --json")
    for model in [] if settings.kimera_only else judges_of(settings):
        base_url = "the built-in simulator" if settings.simulate else judges_base_url(settings)
        if settings.batch:
            require_batches(protocol_of(settings))
        price = price_for(settings, model, base_url)
        askings = judge_info(model, repeat=settings.repeat, swap=settings.swap).variants
        askings *= settings.votes or 1
        texts = (
            "".join(message["content"] for message in prompt.messages(pair.text1, pair.text2))
            for pair in dataset
            for _ in range(askings)
        )
        expected = estimate(texts, price, typical_completion_tokens(prompt.reasoning_first))
        cost = "no price known" if expected.dollars is None else f"about {in_dollars(expected.dollars)}"
        how = " in batches" if settings.batch else ""
        print(
            f"{model} at {base_url}: {expected.requests:,} requests{how}, "
            f"about {expected.prompt_tokens:,} prompt and {expected.completion_tokens:,} completion tokens "
            f"(estimated, retries not counted), {cost}"
        )
        if price and expected.dollars is not None:
            print(_enough(settings, expected.dollars, price, model, dataset, prompt))
    if plan := plan_of(settings):
        share = dataset.contradictions / len(dataset) if dataset.contradictions else 1 / 3
        sampled = plan.first_sample(np.full(len(dataset), share))
        maximum = "The figures above are the maximum."
        if useless := plan.why_nothing_saved(np.full(len(dataset), share)):
            maximum = f"{useless[0].upper()}{useless[1:]}."
        if plan.max_sent and plan.max_sent < 1:
            pairs = int(plan.max_sent * len(dataset))
            maximum = f"With --max-sent {plan.max_sent:g} at most {pairs:,} pairs are sent."
            if sampled > pairs:
                maximum += " The sample alone would exceed that, so the run would be refused."
        print(
            f"--cascade {plan.risk:g}: the judge gets a random sample of about {sampled:,} of these pairs "
            f"(if {share:.0%} of them are contradictions), and of the others those that the local "
            f"detector is not sure of. {maximum}"
        )
    print(f"Dry run over {Path(dataset.name).name}, {len(dataset):,} pairs: nothing was sent.")
    return DONE


def _enough(
    settings: RunSettings, dollars: float, price: Price, model: str, dataset: Dataset, prompt: Prompt
) -> str:
    """Which --max-cost does not get in the way of a run that is expected to cost so much."""
    protocol = protocol_of(settings)
    given = parameters_of(settings, model)
    form = form_asked_first(
        protocol,
        given,
        classes=prompt.classes,
        reasoning_first=prompt.reasoning_first,
        logprobs=settings.logprobs,
        sampled=settings.votes is not None,
    )
    wording = prompt if form.writes_text else prompt.for_decisions()
    asked = (wording.messages(pair.text1, pair.text2) for pair in dataset)
    longest = max(len(written_into(protocol.body(messages, model, form), given)) for messages in asked)
    aside = price.cost(worst_case(price, longest, form.max_billed_tokens))
    in_flight = START if settings.concurrency == "auto" else settings.concurrency or 1
    if settings.batch:
        in_flight = min(len(dataset), settings.batch_requests)
    return (
        f"  --max-cost reserves up to ${aside:.4f} for each request in flight until its reply states its "
        f"cost. Give at least ${dollars + aside * in_flight:.4f}; a lower limit slows the run down or ends "
        "it early"
    )
