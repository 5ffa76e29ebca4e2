"""--async auto: what each attempt's outcome does to the limit. The clock is the test's own."""

from __future__ import annotations

import pytest

from benchmarks.judge.adaptive import EPISODE_S, MAX_IN_FLIGHT, START, AdaptiveLimit
from benchmarks.judge.slots import Slots


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slots() -> Slots:
    return Slots(1)


@pytest.fixture
def adaptive(slots: Slots, clock: Clock) -> AdaptiveLimit:
    return AdaptiveLimit(slots, clock=clock)


def clean_round(adaptive: AdaptiveLimit, slots: Slots, in_flight: float = 1.0) -> None:
    """As many successes as the limit, with this share of the limit in flight."""
    limit = slots.limit
    slots.held = round(limit * in_flight)
    for _ in range(limit):
        adaptive.note(None, True, adaptive.epoch)


def refuse(adaptive: AdaptiveLimit) -> None:
    adaptive.note("rate_limited", True, adaptive.epoch)


def test_it_doubles_each_clean_round_until_the_most(adaptive: AdaptiveLimit, slots: Slots) -> None:
    limits = [slots.limit]
    for _ in range(8):
        clean_round(adaptive, slots)
        limits.append(slots.limit)
    assert limits == [20, 40, 80, 160, 320, 640, MAX_IN_FLIGHT, MAX_IN_FLIGHT, MAX_IN_FLIGHT]


def test_a_limit_that_is_not_in_use_does_not_grow(adaptive: AdaptiveLimit, slots: Slots) -> None:
    clean_round(adaptive, slots, in_flight=0.75)
    assert slots.limit == START
    clean_round(adaptive, slots, in_flight=0.8)
    assert slots.limit == 2 * START


def test_many_refusals_at_once_cut_once(adaptive: AdaptiveLimit, slots: Slots) -> None:
    clean_round(adaptive, slots)
    epoch = adaptive.epoch
    for _ in range(30):
        adaptive.note("rate_limited", True, epoch)
    assert slots.limit == 32


def test_after_the_first_refusal_it_grows_by_five_percent(
    adaptive: AdaptiveLimit, slots: Slots, clock: Clock
) -> None:
    for _ in range(3):
        clean_round(adaptive, slots)
    refuse(adaptive)
    clock.now += EPISODE_S
    assert slots.limit == 128
    clean_round(adaptive, slots)
    assert slots.limit == 135


def test_within_an_episode_it_stays_below_what_was_refused(
    adaptive: AdaptiveLimit, slots: Slots, clock: Clock
) -> None:
    clean_round(adaptive, slots)
    clean_round(adaptive, slots)
    refuse(adaptive)
    assert slots.limit == 64
    for _ in range(20):
        clean_round(adaptive, slots)
    assert slots.limit == 76 < 80 / 1.05
    clock.now += EPISODE_S
    clean_round(adaptive, slots)
    assert slots.limit == 80


def test_a_refusal_within_an_episode_takes_back_the_growth_and_no_more(
    adaptive: AdaptiveLimit, slots: Slots
) -> None:
    clean_round(adaptive, slots)
    clean_round(adaptive, slots)
    refuse(adaptive)
    clean_round(adaptive, slots)
    assert slots.limit == 68
    refuse(adaptive)
    assert slots.limit == 64
    clean_round(adaptive, slots)
    assert slots.limit == 64, "68 was refused"
    refuse(adaptive)
    assert slots.limit == 64, "one cut an episode"


def test_a_broken_server_pauses_growth_and_cuts_nothing(adaptive: AdaptiveLimit, slots: Slots) -> None:
    slots.held = START
    for _ in range(START - 1):
        adaptive.note(None, True, adaptive.epoch)
    adaptive.note("server_error", True, adaptive.epoch)
    adaptive.note(None, True, adaptive.epoch)
    assert slots.limit == START
    clean_round(adaptive, slots)
    assert slots.limit == 2 * START


def test_a_success_after_a_retry_counts_for_nothing(adaptive: AdaptiveLimit, slots: Slots) -> None:
    slots.held = START
    for _ in range(10 * START):
        adaptive.note(None, False, adaptive.epoch)
    assert slots.limit == START


@pytest.mark.parametrize("error", ["timeout", "connection", "unparseable", "auth"])
def test_other_errors_say_nothing_of_the_limit(adaptive: AdaptiveLimit, slots: Slots, error: str) -> None:
    adaptive.note(error, True, adaptive.epoch)
    assert slots.limit == START


def test_it_never_falls_below_one(adaptive: AdaptiveLimit, slots: Slots, clock: Clock) -> None:
    for _ in range(40):
        refuse(adaptive)
        clock.now += EPISODE_S
    assert slots.limit == 1


def test_every_change_is_kept_and_told(slots: Slots, clock: Clock) -> None:
    adaptive = AdaptiveLimit(slots, clock=clock)
    told: list[int] = []
    adaptive.on_change = lambda change: told.append(change.limit)
    clock.now = 2.5
    clean_round(adaptive, slots)
    refuse(adaptive)
    assert [(change.at_s, change.limit) for change in adaptive.changes] == [(0.0, 20), (2.5, 40), (2.5, 32)]
    assert told == [40, 32]
