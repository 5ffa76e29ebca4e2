"""What one endpoint has taught us: how it takes its requests, for the run and for single pairs."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from benchmarks.judge.completions import Completion
from benchmarks.judge.failures import JudgeError, kind_of
from benchmarks.judge.group_replies import is_group_reply
from benchmarks.judge.refusals import Refusal
from benchmarks.judge.reply_reading import is_json_reply
from benchmarks.judge.request_form import PLAIN_TEXT, RequestForm
from benchmarks.judge.trials import MAX_TRIALS, PairTerms, Trial

# How long the first request goes ahead of the others, since what refuses all refuses one: the longer, the
# more others there are. A run of few at a time would lose a part of its speed by it.
LEAST_SCOUT_S, SCOUT_S, SCOUT_S_A_SLOT = 0.04, 0.25, 0.005
FAULTS_BEFORE_TRIAL = 2  # of one pair: a server that stumbles once is asked again as before
_OPAQUE_FAULTS = {500, 501}
# What a 5xx may name for it to be believed: words such as "stream" stand in the message of any fault.
_NAMED_BY_FAULTS = {"format", "temperature", "seed", "logprobs", "limit"}


class Adaptation:
    """The form of the run, the terms of pairs that need another one, and the trial that is on, if one is.

    on_learnt: is told in a sentence what is done otherwise from now on; `learnt` keeps these. slots: how many
    pairs are asked at a time.
    """

    def __init__(self, first: RequestForm) -> None:
        self.form = first
        self.slots = 1
        self.learnt: list[str] = []
        self.on_learnt: Callable[[str], None] = lambda _: None
        self.has_answered = False
        self._trial: Trial | None = None
        self._trials = 0
        self._first_error: JudgeError | None = None
        self._mended = ""  # the words of the refusal that the last trial did away with
        self._doubted: tuple[RequestForm, RequestForm] | None = (
            None  # before and after a trial that followed faults
        )
        self._doubter: PairTerms | None = None
        self._honoured: set[str] = set()  # reply formats that some reply has kept to
        self._cut: Counter[int] = Counter()  # replies that were cut off at each limit
        self._whole: Counter[int] = Counter()
        self._lowered: Counter[int] = Counter()  # answers at limits below the run's
        self._scout: PairTerms | None = None
        self._heard = asyncio.Event()

    def form_for(self, terms: PairTerms) -> RequestForm:
        """How this pair is asked now."""
        form = self.form
        if self._trial and self._trial.pair is terms and self._trial.tried:
            form = self._trial.tried
        elif self._doubted and self._doubter is terms:
            form = self._doubted[0]
        if terms.max_tokens or terms.max_allowed:
            form = form.with_room(terms.max_tokens, terms.max_allowed)
        for _ in range(terms.format_steps):
            form = form.next_format() or form
        return form.about(terms.pairs)

    def must_wait(self, terms: PairTerms) -> bool:
        """Whether another pair is about to find out how to ask: in a trial, or as the first of all."""
        if self._trial:
            return self._trial.pair is not terms
        return not self._heard.is_set() and self._scout not in (None, terms)

    async def others(self, terms: PairTerms) -> None:
        """Waits until the pair that goes ahead has found out; the first of all does so for a moment."""
        if self._trial and self._trial.pair is not terms:
            await self._trial.over.wait()
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(SCOUT_S, max(LEAST_SCOUT_S, SCOUT_S_A_SLOT * self.slots))):
                await self._heard.wait()
        self._heard.set()

    def begin(self, terms: PairTerms) -> None:
        """This pair is asked now.

        The first of all goes ahead; one after a trial that followed faults, which may have healed by
        themselves, is asked as before it.
        """
        self._scout = self._scout or terms
        if self._doubted and self._doubter is None:
            self._doubter = terms

    def leave(self, terms: PairTerms) -> None:
        """This pair is done with, however it ended."""
        if self._scout is terms:
            self._heard.set()
        if self._doubter is terms:
            self._doubter = None
        if self._trial and self._trial.pair is terms:
            self._end_trial()

    def note_reply(self) -> None:
        """The endpoint has said something."""
        self._heard.set()

    def note_completion(self, completion: Completion, used: RequestForm, terms: PairTerms) -> None:
        """What an answer shows of the form that was used."""
        self._note_success(used, terms)
        self._note_lowered(used)
        self.has_answered = True
        is_whole = (is_json_reply if used.pairs == 1 else is_group_reply)(completion.text)
        if completion.finish_reason == "length" and not is_whole:
            self._note_cut(used, terms)
            return
        self._note_whole(used, terms)
        if is_whole:
            self._honoured.add(used.reply_format)
        elif completion.text and used.reply_format not in {PLAIN_TEXT, *self._honoured}:
            self._take(used, used.next_format())  # the schema was ignored

    def _note_success(self, used: RequestForm, terms: PairTerms) -> None:
        if self._doubted and self._doubter is terms:
            before, after = self._doubted
            if used.reply_format == before.reply_format and used.optional == before.optional:
                self.form, self._doubted = before.with_room(self.form.max_tokens), None
                self._tell(f"{after.changes_to(before) or 'the earlier form of the request'} works again")
        trial = self._trial
        if trial and trial.pair is terms:
            accepted = trial.tried or trial.base
            if trial.is_fault:
                self._doubted = self.form, accepted
            self._mended = trial.first_words
            self._learn(accepted, "helped where it refused")
            self._end_trial()

    def _note_cut(self, used: RequestForm, terms: PairTerms) -> None:
        """More room: for this pair, and for all where no reply has ever been whole."""
        limit = used.max_tokens
        self._cut[limit] += 1
        raised = used.after_truncation()
        if raised is None:
            return
        terms.max_tokens = raised.max_tokens
        if limit == self.form.max_tokens and not self._whole[limit] and self._cut[limit] > 1:
            self.form = self.form.with_room(raised.max_tokens)

    def _note_lowered(self, used: RequestForm) -> None:
        """Less room for all, where two pairs needed it and none was ever answered with more."""
        limit, run = used.max_tokens, self.form
        if limit >= run.max_tokens or any(room > limit for room in (*self._whole, *self._cut)):
            return
        self._lowered[limit] += 1
        if self._lowered[limit] > 1:
            self._learn(run.with_room(limit), "more was refused")

    def _note_whole(self, used: RequestForm, terms: PairTerms) -> None:
        limit, run = used.max_tokens, self.form
        if terms.max_tokens > run.max_tokens and not self._whole[run.max_tokens]:
            self.form = run.with_room(terms.max_tokens)
        self._whole[limit] += 1

    def note_refusal(self, refusal: Refusal, used: RequestForm, terms: PairTerms) -> JudgeError:
        """What is made of a refusal: kind "adapting" where the pair is asked otherwise, at once."""
        error, kind = refusal.error, kind_of(refusal.error.kind)
        if kind.is_fault and error.status in _OPAQUE_FAULTS:
            terms.faults += 1
        if self._doubted and self._doubter is terms and kind.may_be_form:
            self._doubted = None  # it was no passing fault
            return error.but(kind="adapting")
        was_kept = refusal.names[:1] == ("format",) and used.reply_format in self._honoured
        is_out_of_formats = terms.formats_failed > 0 and used.next_format() is None and not self.has_answered
        if (refusal.is_generation or was_kept) and not is_out_of_formats and kind.may_be_form:
            return self._after_failed_format(error, used, terms)
        if self._adapts(refusal, used, terms):
            return error.but(kind="adapting")
        if error.kind == "bad_request" and not terms.was_asked_again and self._is_fickle(refusal):
            terms.was_asked_again = True
            return error.but(kind="format_failed")
        if error.kind == "bad_request" and self._is_hopeless(refusal):
            first = self._first_error or error
            return first.but(kind="refused")
        return error

    def _adapts(self, refusal: Refusal, used: RequestForm, terms: PairTerms) -> bool:
        error, kind = refusal.error, kind_of(refusal.error.kind)
        if self._undoes_raise(refusal, used, terms) or self._lowers(refusal, used, terms):
            return True
        if not kind.may_name_a_part or error.status == 401:
            return False
        if kind.is_fault and not (set(refusal.names) & _NAMED_BY_FAULTS and error.status in _OPAQUE_FAULTS):
            return self._tries(refusal, used, terms)
        if self.form_for(terms) != used:
            return True  # another pair has seen to it
        following = used.after_refusal(refusal) if refusal.names else None
        if following is None:
            return error.kind != "forbidden" and self._tries(refusal, used, terms)
        if self._trial and self._trial.pair is terms:
            self._trial.go_on_with(following)
        else:
            self._learn(following, "it refused that")
        return True

    def _undoes_raise(self, refusal: Refusal, used: RequestForm, terms: PairTerms) -> bool:
        """A refusal that follows a raise takes it back, to the number that it names if it names one."""
        accepted = max((*self._whole, *self._cut), default=0)
        others = {name for name in refusal.names if name not in {"limit", "format"}}
        if not 0 < accepted < used.max_tokens or (others and "limit" not in refusal.names):
            return False
        if not kind_of(refusal.error.kind).may_be_room:
            return False
        if refusal.error.kind != "bad_request" and not used.is_about_limit(refusal):
            return False
        allowed = max((n for n in refusal.numbers if accepted < n < used.max_tokens), default=accepted)
        terms.max_tokens = terms.max_allowed = allowed
        run = self.form
        self.form = run.with_room(
            min(run.max_tokens, allowed),
            run.max_allowed if refusal.is_too_long else min(run.max_allowed, allowed),
        )
        return True

    def _lowers(self, refusal: Refusal, used: RequestForm, terms: PairTerms) -> bool:
        """A window too small for this pair and the limit, or an account: less room, for this pair alone."""
        is_spent = refusal.error.status == 402
        if not used.is_about_limit(refusal) or not (refusal.is_too_long or is_spent):
            return False
        lower = used.lowered(refusal if is_spent else replace(refusal, numbers=()))
        kind = kind_of(refusal.error.kind)
        if lower is None or kind.is_fault or not kind.may_be_room:
            return False
        terms.max_tokens = terms.max_allowed = lower.max_tokens
        return True

    def _after_failed_format(self, error: JudgeError, used: RequestForm, terms: PairTerms) -> JudgeError:
        """Asked again as before, and in the next format where that fails too."""
        terms.formats_failed += 1
        following = used.next_format()
        if terms.formats_failed == 1 or following is None:
            return error.but(kind="format_failed")
        if self._trial and self._trial.pair is terms:
            self._trial.go_on_with(following)
        elif used.reply_format in self._honoured:
            terms.format_steps += 1
        else:
            self._take(used, following, "replies failed to keep to the format")
        return error.but(kind="adapting")

    def _is_fickle(self, refusal: Refusal) -> bool:
        """Whether the same refusal did not last before, or is of a format that is not asked for."""
        return refusal.words == self._mended or (self.has_answered and refusal.names[:1] == ("format",))

    def _is_hopeless(self, refusal: Refusal) -> bool:
        return (
            not (self.has_answered or refusal.is_clear or refusal.is_too_long) and self._trials >= MAX_TRIALS
        )

    def _tries(self, refusal: Refusal, used: RequestForm, terms: PairTerms) -> bool:
        """Begins a trial, or goes on with it, where a refusal says nothing of use; False at its end."""
        if self.has_answered:
            return False
        if self._trial and self._trial.pair is not terms:
            return True  # to be asked again when the other has found out
        if self._trial is None:
            is_fault = kind_of(refusal.error.kind).is_fault
            enough = terms.faults >= FAULTS_BEFORE_TRIAL and refusal.error.status in _OPAQUE_FAULTS
            is_due = enough if is_fault else not refusal.is_clear
            if terms.was_tried or refusal.is_too_long or self._trials >= MAX_TRIALS or not is_due:
                return False
            terms.was_tried = True
            self._trial = Trial(terms, used, refusal.words, is_fault)
            self._first_error = refusal.error
        if self._trial.following(refusal.words) is not None:
            return True
        self._trials += 1
        self._end_trial()
        return False

    def _end_trial(self) -> None:
        if self._trial:
            self._trial.over.set()
        self._trial = None

    def _take(self, used: RequestForm, following: RequestForm | None, why: str = "") -> None:
        """The next form of the run, unless another pair has changed that already."""
        if following is not None and self.form.reply_format == used.reply_format:
            following = self.form.with_format_of(following)
            if why:
                self._learn(following, why)
            else:
                self.form = following

    def _learn(self, following: RequestForm, why: str) -> None:
        changes = self.form.changes_to(following)
        self.form = following
        if changes:
            self._tell(f"{changes}: {why}")

    def _tell(self, sentence: str) -> None:
        self.learnt.append(sentence)
        self.on_learnt(sentence)
