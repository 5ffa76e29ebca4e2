"""What a comparison would send to its judges, and what that would cost."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from benchmarks.cascade import positives_needed
from benchmarks.datasets import Dataset
from benchmarks.detector_info import judge_info
from benchmarks.judge import (
    START,
    Estimate,
    Price,
    Prompt,
    estimate,
    form_asked_first,
    in_dollars,
    messages_about,
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
    total, reserves = 0.0, []
    for model in [] if settings.kimera_only else judges_of(settings):
        base_url = "the built-in simulator" if settings.simulate else judges_base_url(settings)
        expected, price = expected_of(settings, model, dataset, prompt)
        cost = "no price known" if expected.dollars is None else f"about {in_dollars(expected.dollars)}"
        how = " in batches" if settings.batch else ""
        print(
            f"{model} at {base_url}: {expected.requests:,} requests{how}, "
            f"about {expected.prompt_tokens:,} prompt and {expected.completion_tokens:,} completion tokens "
            f"(estimated, retries not counted), {cost}"
        )
        if price and expected.dollars is not None:
            total += expected.dollars
            reserves.append(_reserve(settings, expected.requests, price, model, dataset, prompt))
    if reserves:
        aside, reserve = max(reserves, key=lambda each: each[1])
        together = ", for all judges together" if len(reserves) > 1 else ""
        print(
            f"  --max-cost reserves up to ${aside:.4f} for each request in flight until its reply states its "
            f"cost. Give at least ${total + reserve:.4f}{together}; a lower limit slows the run down or ends "
            "it early"
        )
    for sentence in cascade_words(settings, dataset):
        print(sentence)
    if settings.cache_replies:
        print("  --cache-replies: what is kept already costs nothing again, and is counted here all the same")
    print(f"Dry run over {Path(dataset.name).name}, {len(dataset):,} pairs: nothing was sent.")
    return DONE


def expected_of(
    settings: RunSettings, model: str, dataset: Dataset, prompt: Prompt
) -> tuple[Estimate, Price | None]:
    """(what asking this judge about all pairs takes, its price)."""
    base_url = "the built-in simulator" if settings.simulate else judges_base_url(settings)
    if settings.batch:
        require_batches(protocol_of(settings))
    price = price_for(settings, model, base_url)
    askings = judge_info(model, repeat=settings.repeat, swap=settings.swap).variants
    askings *= settings.votes or 1
    asked = ((pair.text1, pair.text2) for pair in dataset)
    texts = (
        "".join(message["content"] for message in messages)
        for messages in messages_about(prompt, asked, settings.pairs_per_request)
        for _ in range(askings)
    )
    reply_tokens = typical_completion_tokens(prompt.reasoning_first)
    return estimate(texts, price, reply_tokens, len(dataset) * askings), price


def cascade_words(settings: RunSettings, dataset: Dataset, share: float | None = None) -> list[str]:
    """What a cascade takes and whether it can keep its promise; empty where the run is none.

    share: of contradictions; by default that of the labels.
    """
    plan = plan_of(settings)
    if not plan:
        return []
    if share is None:
        labelled = int((dataset.labels >= 0).sum())
        share = dataset.contradictions / labelled if dataset.contradictions else 1 / 3
    sampled = plan.first_sample(np.full(len(dataset), share))
    maximum = "The figures above are the maximum."
    if plan.max_sent and plan.max_sent < 1:
        pairs = int(plan.max_sent * len(dataset))
        maximum = f"With --max-sent {plan.max_sent:g} at most {pairs:,} pairs are sent."
        if sampled > pairs:
            maximum += " The sample alone would exceed that, so the run would be refused."
    told = [
        f"--cascade {plan.risk:g}: the judge gets a random sample of about {sampled:,} of these pairs "
        f"(if {share:.0%} of them are contradictions), and of the others those that the local "
        f"detector is not sure of. {maximum}"
    ]
    needed, held = positives_needed(plan.risk), round(share * len(dataset))
    if held < needed:
        told.append(
            f"These pairs cannot keep that promise: a risk of {plan.risk:g} takes a sample with at least "
            f"{needed:,} contradictions, and all {len(dataset):,} pairs hold about {held:,}. Nothing would "
            f"be settled as no contradiction. Take about {math.ceil(needed / max(share, 1e-9)):,} pairs, or "
            "a larger risk."
        )
    return told


def _reserve(
    settings: RunSettings, requests: int, price: Price, model: str, dataset: Dataset, prompt: Prompt
) -> tuple[float, float]:
    """Dollars that --max-cost reserves: for one request, and for all that are in flight at a time."""
    protocol = protocol_of(settings)
    given = parameters_of(settings, model)
    form = form_asked_first(
        protocol,
        given,
        classes=prompt.classes,
        reasoning_first=prompt.reasoning_first,
        logprobs=settings.logprobs,
        sampled=settings.votes is not None,
        pairs_per_request=settings.pairs_per_request,
    )
    wording = prompt if form.writes_text else prompt.for_decisions()
    texts = ((pair.text1, pair.text2) for pair in dataset)
    asked = messages_about(wording, texts, settings.pairs_per_request)
    form = form.about(settings.pairs_per_request)
    longest = max(len(written_into(protocol.body(messages, model, form), given)) for messages in asked)
    aside = price.cost(worst_case(price, longest, form.max_billed_tokens))
    in_flight = START if settings.concurrency == "auto" else settings.concurrency or 1
    if settings.batch:
        in_flight = min(requests, settings.batch_requests)
    return aside, aside * in_flight
