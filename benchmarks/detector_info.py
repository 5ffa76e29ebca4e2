"""What a detector of a run is: all that reports, gates, diff, the cascade and distil need to know of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, NamedTuple, TypeAlias

Role: TypeAlias = Literal["local", "judge", "combination"]
Effort: TypeAlias = Literal["workers", "requests in flight"]
EFFORT_KEYS: Mapping[Effort, str] = {"workers": "workers", "requests in flight": "concurrency"}

CASCADE_NAME = "cascade"  # of the one that the command line makes
PANEL_NAME = "panel"
RENAMED = {"simulated": "is_simulated"}  # in journals before version 0.6.0


class Sides(NamedTuple):
    """The names of the two detectors of a cascade: the cheap one goes first, the dear one gets the rest."""

    cheap: str
    dear: str


@dataclass(frozen=True, kw_only=True)
class DetectorInfo:
    """Ask it for what you need to know; `kind` is a noun to show, on which nothing may depend.

    name: unique in its run. kind: "reactor", "judge", "cascade", or what another local detector calls itself.
    role: "local" computes on this machine, "judge" is a model that is asked, "combination" is made of two
        other detectors of the run, its `sides`, or of several judges, its `members`.
    is_paid: whether its requests may be billed; then there are requests, tokens and dollars to tell of.
    is_amortised: whether a pair's latency is its batch's time over its pairs, so that there is only a mean.
    is_simulated: whether a simulator answers, and no model.
    is_replayed: whether its verdicts were given before and are read from a file, so that the run itself tells
        nothing of its speed.
    effort: what `asked` and `used` of its results count.
    repeat, swap: a pair is asked about `repeat` times, and with `swap` as often with its texts swapped.
    settings: what decides its verdicts and how it runs, JSON-ready, without keys.
    trained_on: titles of the data sets that it was fitted on, none where it was not; None: nobody knows.
    price: the fields of a `benchmarks.judge.Price`; None where no price is known.
    """

    name: str
    kind: str
    role: Role
    is_paid: bool
    is_amortised: bool
    effort: Effort
    is_simulated: bool = False
    is_replayed: bool = False
    repeat: int = 1
    swap: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    trained_on: list[str] | None = None
    price: Mapping[str, float] | None = None
    sides: Sides | None = None
    members: tuple[str, ...] = ()

    @property
    def effort_key(self) -> str:
        """What the summary calls its effort."""
        return EFFORT_KEYS[self.effort]

    @property
    def variants(self) -> int:
        """How often it is asked about a pair."""
        return self.repeat * (2 if self.swap else 1)

    @property
    def has_batch_times(self) -> bool:
        """Whether its latencies tell of batches alone: those of a cascade hold its judge's times as well."""
        return self.is_amortised and self.sides is None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> DetectorInfo:
        """Raises TypeError where a field is missing. Fields that this version does not know are left out."""
        return cls(**_known(record))

    def updated(self, record: Mapping[str, Any]) -> DetectorInfo:
        """With what a journal says of it anew, be it by this version or an earlier one."""
        return replace(self, **_known(record))


def _known(record: Mapping[str, Any]) -> dict[str, Any]:
    names = {declared.name for declared in fields(DetectorInfo)}
    renamed = {RENAMED.get(name, name): value for name, value in record.items()}
    sides = {"sides": Sides(*renamed["sides"])} if renamed.get("sides") else {}
    members = {"members": tuple(renamed["members"])} if "members" in renamed else {}
    return {name: value for name, value in renamed.items() if name in names} | sides | members


def local_info(
    name: str,
    kind: str,
    settings: Mapping[str, Any] | None = None,
    trained_on: list[str] | None = None,
    *,
    is_replayed: bool = False,
) -> DetectorInfo:
    """Of a detector that computes on this machine, batch by batch."""
    return DetectorInfo(
        name=name,
        kind=kind,
        role="local",
        is_paid=False,
        is_amortised=True,
        effort="workers",
        is_replayed=is_replayed,
        settings=settings or {},
        trained_on=trained_on,
    )


def judge_info(
    name: str,
    *,
    kind: str = "judge",
    is_simulated: bool = False,
    is_replayed: bool = False,
    repeat: int = 1,
    swap: bool = False,
    settings: Mapping[str, Any] | None = None,
    price: Mapping[str, float] | None = None,
) -> DetectorInfo:
    """Of a model that is asked about one pair at a time."""
    return DetectorInfo(
        name=name,
        kind=kind,
        role="judge",
        is_paid=True,
        is_amortised=False,
        effort="requests in flight",
        is_simulated=is_simulated,
        is_replayed=is_replayed,
        repeat=repeat,
        swap=swap,
        settings=settings or {},
        price=price,
    )


def cascade_info(
    name: str, cheap: DetectorInfo, dear: DetectorInfo, settings: Mapping[str, Any]
) -> DetectorInfo:
    """Of a cascade of these two. settings: the arguments of its `benchmarks.cascade.CascadePlan`."""
    return DetectorInfo(
        name=name,
        kind="cascade",
        role="combination",
        is_paid=cheap.is_paid or dear.is_paid,
        is_amortised=cheap.is_amortised or dear.is_amortised,
        effort=dear.effort,
        is_simulated=cheap.is_simulated or dear.is_simulated,
        settings=settings,
        sides=Sides(cheap.name, dear.name),
    )


def panel_info(name: str, members: Sequence[DetectorInfo], rule: str) -> DetectorInfo:
    """Of a panel of these judges. rule: one of `benchmarks.panel.RULES`."""
    titles = [member.name for member in members]
    return DetectorInfo(
        name=name,
        kind="panel",
        role="combination",
        is_paid=any(member.is_paid for member in members),
        is_amortised=any(member.is_amortised for member in members),
        effort="requests in flight",
        is_simulated=any(member.is_simulated for member in members),
        is_replayed=all(member.is_replayed for member in members),
        settings={"panel": rule, "members": ", ".join(titles)},
        members=tuple(titles),
    )


def default_infos(
    local: Sequence[DetectorInfo],
    models: Sequence[str],
    *,
    is_simulated: bool = False,
    repeat: int = 1,
    swap: bool = False,
    cascade: Mapping[str, Any] | None = None,
    panel: str | None = None,
) -> list[DetectorInfo]:
    """Of the detectors that the command line makes: local ones, a judge a model, perhaps one made of these.

    cascade: its settings; it is of the first local one and the first judge. panel: the rule of one of all
    judges, those whose verdicts are read from files among them.
    """
    judges = [judge_info(model, is_simulated=is_simulated, repeat=repeat, swap=swap) for model in models]
    cascades = [cascade_info(CASCADE_NAME, local[0], judges[0], cascade)] if cascade else []
    members = [info for info in (*local, *judges) if info.role == "judge"]
    panels = [panel_info(PANEL_NAME, members, panel)] if panel else []
    return [*local, *judges, *cascades, *panels]


def combination_in(infos: Iterable[DetectorInfo]) -> DetectorInfo | None:
    """The one that is made of the others, if any; a run has one at most."""
    return next((info for info in infos if info.role == "combination"), None)


def are_told_apart(a: DetectorInfo, b: DetectorInfo) -> bool:
    """Whether it says anything to compare them: a cascade is its dear side, where that was asked."""
    return not any(one.sides and one.sides.dear == other.name for one, other in ((a, b), (b, a)))
