"""The models of the reactor's stages: made or taken, checked against each other, and what names them."""

from __future__ import annotations

import functools
from collections.abc import Sequence, Set
from itertools import chain
from pathlib import Path

from kimera.console import as_called, note
from kimera.errors import UserError
from kimera.models import (
    DEEP_MODEL,
    DEFAULT_MODEL,
    LONG_TEXT_RULE,
    PACKAGED_NAMES,
    Backend,
    ContradictionHead,
    CrossEncoder,
    CrossEncoderWeights,
    Device,
    Encoder,
    NeighbourHead,
    NeighbourScreen,
    Precision,
    Runtime,
    sources_named_in,
)
from kimera.reactor_bounds import StageBounds
from kimera.reactor_stages import ALL, WEIGHTS, Stage, Stages, stages_of
from kimera.shipped_weights import (
    SHIPPED_BOUNDS,
    SHIPPED_CROSS_ENCODER,
    SHIPPED_DEEP,
    SHIPPED_NEIGHBOUR_HEAD,
    base_of,
    load_head,
)
from kimera.workers import LOCAL, ClosedAtExit, Engine, EngineName, as_engine

__all__ = ["ReactorModels"]


class ReactorModels(ClosedAtExit):
    """Those of the stages that are used; the others are None. For the parameters see `Reactor`."""

    def __init__(
        self,
        encoder: Encoder | str | Path = DEFAULT_MODEL,
        head: ContradictionHead | str | Path | None = None,
        *,
        stages: Stages | None = None,
        cross_encoder: CrossEncoder | str | Path | None = None,
        deep: CrossEncoder | str | Path | None = None,
        deep_base: str | Path = DEEP_MODEL,
        bounds: StageBounds | str | Path | None = None,
        symmetric: bool = False,
        backend: Backend | None = None,
        precision: Precision | None = None,
        device: Device = "cpu",
        engine: Engine | EngineName = LOCAL,
    ) -> None:
        self.engine = as_engine(engine)
        self.encoder = (
            encoder
            if isinstance(encoder, Encoder)
            else Encoder(encoder, backend=backend, precision=precision, device=device, engine=self.engine)
        )
        self._has_shipped_head = head is None and self.encoder.name in PACKAGED_NAMES
        self.stages: Stages = stages or (
            "both" if self._has_shipped_head or cross_encoder is not None else "screen"
        )
        used = stages_of(self.stages)
        self.head: ContradictionHead | None = None
        if "screen" in used:
            self.head = head if isinstance(head, ContradictionHead) else load_head(head, self.encoder)
            self.head.require_encoder(self.encoder.fingerprint, self.encoder.name)
        make = functools.partial(
            CrossEncoder, backend=backend, precision=precision, device=device, engine=self.engine
        )
        weights = cross_encoder if isinstance(cross_encoder, str | Path) else SHIPPED_CROSS_ENCODER
        self._neighbour_head = Path(weights).parent / SHIPPED_NEIGHBOUR_HEAD.name
        self.cross_encoder = self.deep = None
        if "verify" in used:
            model = SHIPPED_CROSS_ENCODER if cross_encoder is None else cross_encoder
            self.cross_encoder = (
                model if isinstance(model, CrossEncoder) else make(model, base_of(model, self.encoder))
            )
        if "deep" in used:
            model = SHIPPED_DEEP if deep is None else deep
            self.deep = model if isinstance(model, CrossEncoder) else make(model, deep_base)
        self.bounds = None
        if used == ALL:
            of_stages = SHIPPED_BOUNDS if bounds is None else bounds
            self.bounds = of_stages if isinstance(of_stages, StageBounds) else StageBounds.load(of_stages)
            self.bounds.require(self.weights)
        given = {"screen": head, "verify": cross_encoder, "deep": deep}
        _require_used(used, {stage for stage, weights in given.items() if weights is not None}, symmetric)
        if bounds is not None and not self.bounds:
            raise UserError(
                "bounds apply to the stages screen, verify and deep together, not to fewer; leave out "
                "--stage-bounds, or give all three stages (--reactor)"
            )
        self.symmetric = symmetric

    @property
    def deciding_stage(self) -> Stage:
        """The stage that gives the verdict, and its score, where no earlier one settles it."""
        return stages_of(self.stages)[-1]

    @functools.cached_property
    def neighbour_screen(self) -> NeighbourScreen | None:
        """What tells which neighbours the cross-encoder need not read; None where no head was fitted to it.

        With weights of one's own that is the file of the same name beside these, if there is one.
        """
        is_fitted_for = self.stages == "both" and self._has_shipped_head and not self.symmetric
        if not is_fitted_for or not self.encoder.folder or not self._neighbour_head.is_file():
            return None
        head = NeighbourHead.load(self._neighbour_head)
        if (head.encoder, head.teacher) != (self.encoder.fingerprint, self.weights["verify"]):
            if self._neighbour_head != SHIPPED_NEIGHBOUR_HEAD:
                note(
                    f"{self._neighbour_head} was fitted to other weights than these and is not used; fit it "
                    f"anew with {as_called('kimera train')} --stage neighbours"
                )
            return None
        return NeighbourScreen(head, self.encoder.folder)

    @property
    def _readers(self) -> list[CrossEncoder]:
        return [model for model in (self.cross_encoder, self.deep) if model]

    @property
    def _weighs_long_texts(self) -> bool:
        """Whether the rule for long texts is used; it was fitted on the packaged encoder's cosines."""
        return bool(self._readers) and self.encoder.name in PACKAGED_NAMES

    @property
    def runtime(self) -> Runtime:
        """Of the stage that gives the verdict."""
        return (self.deep or self.cross_encoder or self.encoder).runtime

    @property
    def weights(self) -> dict[str, str]:
        """Fingerprints of the weights of each stage that is used."""
        parts = {
            "screen": self.head,
            "verify": self.cross_encoder and self.cross_encoder.weights,
            "deep": self.deep and self.deep.weights,
        }
        return {stage: part.fingerprint for stage, part in parts.items() if part}

    @property
    def fingerprints(self) -> dict[str, str]:
        """What decides the verdicts: the fingerprints of the parts that are used."""
        fingerprints: dict[str, str] = {}
        if self.head or self._weighs_long_texts:
            fingerprints["encoder"] = self.encoder.output_fingerprint
        if self.head:
            fingerprints["head"] = self.head.fingerprint
        if self.cross_encoder:
            fingerprints["cross_encoder"] = self.cross_encoder.output_fingerprint
        if self.deep:
            fingerprints["deep"] = self.deep.output_fingerprint
            fingerprints["deep_base"] = self.deep.base
        if self._weighs_long_texts:
            fingerprints["long_texts"] = LONG_TEXT_RULE.fingerprint
        if self.bounds:
            fingerprints["bounds"] = self.bounds.fingerprint
        return fingerprints

    @property
    def trained_on(self) -> list[str] | None:
        """Titles of the data sets that the deciding stages were fitted on, None where weights do not tell.

        The shipped head was fitted on what the shipped cross-encoder was; heads record nothing themselves.
        """
        if self.bounds:
            deciding = [reader.weights for reader in self._readers]
        elif self._readers:
            deciding = [self._readers[-1].weights]
        elif self._has_shipped_head:
            deciding = [CrossEncoderWeights.load(SHIPPED_CROSS_ENCODER)]
        else:
            return None
        sources = [weights.sources or sources_named_in(weights.commands, {}) for weights in deciding]
        if not all(sources):
            return None
        return list(dict.fromkeys(source.data_set.heading for source in chain.from_iterable(sources)))

    def close(self) -> None:
        """End the worker processes. The reactor stays usable."""
        self.encoder.close()
        for reader in self._readers:
            reader.close()

    def load(self) -> None:
        """Load the models in this process now, which takes seconds; else their first texts do."""
        self.encoder.load()
        for reader in self._readers:
            reader.load()

    @property
    def _load_s(self) -> float:
        return self.encoder.load_s + sum(reader.load_s for reader in self._readers)


def _require_used(used: Sequence[Stage], given: Set[str], symmetric: bool) -> None:
    """Raise `UserError` for what was given and does nothing. given: stages whose weights were."""
    for stage in (stage for stage in WEIGHTS if stage in given and stage not in used):
        are, flag = "is" if len(used) == 1 else "are", f"--{WEIGHTS[stage].replace('_', '-')}"
        raise UserError(
            f"weights of {stage} were given ({flag}), but only {' and '.join(used)} {are} used; "
            f"choose stages with {stage} (--reactor), or leave the weights out"
        )
    if symmetric and tuple(used) == ("screen",):
        raise UserError("symmetric applies to cross-encoders, but only screen is used")
