"""The fit of a head for neighbours: to what a cross-encoder says of the candidates of scans.

The texts of labelled pairs, thrown together, are a corpus, and what stands near to what in it is what scans
have to tell apart. Few of these neighbours are labelled; contradictions among them count more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kimera.corpus import MIN_SCORE, Corpus, Rule, Scan, Statement, screened_pairs
from kimera.models import (
    BAGS,
    CLASSES,
    Layers,
    NeighbourHead,
    NeighbourScreen,
    Pieces,
    as_saved,
    counts_of,
    distinct,
    split_pieces,
    word_vectors,
)
from kimera.pairs import CONTRADICTION, Pair
from kimera.reactor import Reactor
from kimera.training.training_data import HELD_OUT_SHARE, drawn

# torch is imported where it is used: it takes seconds, and only a fit needs it.
if TYPE_CHECKING:
    import torch

STATEMENTS = 100_000  # of a corpus: in a larger one neighbours are nearer
CORPORA = 2
FLOORS_FOR = (0.5, 0.7, MIN_SCORE, 0.9)  # what the cross-encoder says at least of a finding
KEPT = 0.98  # of these
LABELLED_COUNTS = (
    5.0  # times: what people and the cross-encoder call a contradiction is what must not be lost
)
SURE = 0.5
PAIRS_AT_A_TIME = 8192
SAMPLED = 10_000  # pairs that tell how the counts spread
Bar = Callable[[str, int | None, str], Any]


@dataclass(frozen=True)
class NeighbourFitOptions:
    """Chosen on the held-out neighbours of the training texts."""

    width: int = 128
    hidden: tuple[int, ...] = (512, 128)
    epochs: int = 8
    batch_size: int = 1024
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.01
    dropout: float = 0.2
    seed: int = 0


@dataclass(frozen=True, eq=False)
class ReadNeighbours:
    """Candidates that a cross-encoder has read.

    texts: distinct ones; vectors: theirs, float32 (texts, dimension). first, second: rows of both texts of n
    pairs. taught: its probabilities, float32 (n, 3). score: P(contradiction) by the head for pairs, (n,).
    is_held_out: bool (n,), whether a text of theirs is not learnt from. is_labelled: bool (n,), whether
    people called it a contradiction.
    """

    texts: Sequence[str]
    vectors: np.ndarray
    first: np.ndarray
    second: np.ndarray
    taught: np.ndarray
    score: np.ndarray
    is_held_out: np.ndarray
    is_labelled: np.ndarray

    @property
    def weight(self) -> np.ndarray:
        """What each pair counts in the fit, float32 (n,)."""
        return np.where(self.is_labelled & self.is_finding(SURE), LABELLED_COUNTS, 1.0).astype(np.float32)

    def is_finding(self, minimum: float = MIN_SCORE) -> np.ndarray:
        return np.asarray(self.taught[:, CLASSES.index(CONTRADICTION)] >= minimum)


def read_neighbours(
    files: Sequence[Sequence[Pair]], reactor: Reactor, bar: Bar, seed: int, workers: int | None
) -> ReadNeighbours:
    """The candidates of corpora drawn from the texts of these pairs, with the verdicts of both stages."""
    found: dict[tuple[str, str], tuple[float, np.ndarray]] = {}
    for number in range(CORPORA):
        texts = drawn_texts(files, STATEMENTS, seed + number)
        corpus = Corpus()
        for line, text in enumerate(texts, 1):
            corpus.add(Statement(text, "corpus", line))
        rule = replace(Rule(), min_screen=0.0)
        screened = screened_pairs(corpus, reactor, Scan(), bar, rule=rule, workers=workers)
        pairs = screened.texts(corpus.texts, np.arange(len(screened.first)))
        with bar("reading", len(pairs), "pair") as progress:
            for at in range(0, len(pairs), PAIRS_AT_A_TIME):
                block = slice(at, at + PAIRS_AT_A_TIME)
                said = reactor.verify(pairs[block], workers).probabilities
                scores = screened.score[block].tolist()
                found |= dict(zip(pairs[block], zip(scores, said, strict=True), strict=True))
                progress.update(len(pairs[block]))
        if len(texts) < STATEMENTS - 1:  # not another pair: these are all that there are
            break
    texts, rows = distinct(text for pair in found for text in pair)
    first, second = rows.reshape(-1, 2).T
    labelled = {
        frozenset(map(_plain, (pair.text1, pair.text2)))
        for pairs in files
        for pair in pairs
        if pair.is_contradiction
    }
    held_out = np.array([drawn(text, seed) < HELD_OUT_SHARE for text in texts], dtype=bool)
    return ReadNeighbours(
        texts,
        reactor.embed(texts, workers).vectors,
        first,
        second,
        np.array([said for _, said in found.values()], np.float32).reshape(-1, len(CLASSES)),
        np.array([score for score, _ in found.values()], np.float32),
        held_out[first] | held_out[second],
        np.array([frozenset(pair) in labelled for pair in found], dtype=bool),
    )


def drawn_texts(files: Sequence[Sequence[Pair]], most: int, seed: int) -> list[str]:
    """The texts of `drawn_pairs`, once each."""
    return list(dict.fromkeys(text for _, both in drawn_pairs(files, most, seed) for text in both if text))


def drawn_pairs(
    files: Sequence[Sequence[Pair]], most: int, seed: int
) -> Iterator[tuple[Pair, tuple[str, str]]]:
    """Pairs with their texts, blanks made single spaces, until there are `most` texts.

    One pair of each file, then another, in an order by the seed; until the longest file has no more.
    """
    texts: set[str] = set()
    for pair in _in_turn(files, seed):
        both = _plain(pair.text1), _plain(pair.text2)
        texts |= set(both)
        if len(texts) > most:
            return
        yield pair, both


def _plain(text: str) -> str:
    return " ".join(text.split())


def _in_turn(files: Sequence[Sequence[Pair]], seed: int) -> Iterator[Pair]:
    shuffled = []
    for pairs in files:
        shuffled.append(list(pairs))
        Random(seed).shuffle(shuffled[-1])  # noqa: S311 (a sample, not a secret)
    for place in range(max(map(len, shuffled), default=0)):
        yield from (pairs[place] for pairs in shuffled if place < len(pairs))


def fit_neighbour_head(
    read: ReadNeighbours,
    folder: Path,
    *,
    encoder: str,
    encoder_name: str,
    teacher: str,
    options: NeighbourFitOptions = NeighbourFitOptions(),
    report: Callable[[int, float, float], None] = lambda epoch, train_loss, held_out_loss: None,
) -> NeighbourHead:
    """Fits with AdamW to the probabilities of the pairs that are not held out; needs torch.

    folder: of the encoder. encoder, encoder_name, teacher: see `NeighbourHead`. The weights kept are
    those of the epoch with the lowest cross-entropy on the held-out pairs, which give the floors too;
    `report` is called after each epoch.
    """
    import torch  # only for a fit

    torch.manual_seed(options.seed)
    learn, held_out = np.flatnonzero(~read.is_held_out), np.flatnonzero(read.is_held_out)
    inputs = _Inputs(read, folder, learn, options.width)
    network = _network(inputs, options)
    whole = torch.nn.ModuleList(network)
    draw = np.random.default_rng(options.seed)
    optimizer = torch.optim.AdamW(
        whole.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
    )
    steps = options.epochs * -(-len(learn) // options.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.learning_rate, steps)
    lowest, best = float("inf"), whole.state_dict()
    for epoch in range(1, options.epochs + 1):
        whole.train()
        losses = []
        for rows in _parts(draw.permutation(learn), options.batch_size):
            loss = inputs.loss(network, rows).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        whole.eval()
        with torch.no_grad():
            parts = [inputs.loss(network, rows) for rows in _parts(held_out, options.batch_size)]
        held_out_loss = float(torch.cat(parts).mean())
        report(epoch, float(np.mean(losses)), held_out_loss)
        if held_out_loss < lowest:
            lowest = held_out_loss
            best = {name: tensor.clone() for name, tensor in whole.state_dict().items()}
    whole.load_state_dict(best)
    layers, projection = inputs.unscaled(network)
    head = NeighbourHead(layers, projection, encoder, encoder_name, teacher, ())
    scores = scores_by(head, read, held_out, folder)
    floors = [(least, _floor(scores[read.is_finding(least)[held_out]])) for least in FLOORS_FOR]
    return replace(head, floors=tuple(floors))


def scores_by(head: NeighbourHead, read: ReadNeighbours, rows: np.ndarray, folder: Path) -> np.ndarray:
    """P(contradiction) of some of the pairs, float32 of shape (rows,). folder: of the encoder."""
    screen = NeighbourScreen(head, folder)
    return screen.scores(read.vectors, screen.pieces.of(read.texts), read.first[rows], read.second[rows])


def _floor(scores: np.ndarray) -> float:
    """What the share KEPT of these reach."""
    return float(np.quantile(scores, 1 - KEPT)) if len(scores) else 0.0


def _parts(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    yield from (rows[at : at + size] for at in range(0, len(rows), size))


class Network(NamedTuple):
    """projection: of sums of word vectors. layers: over all of `_Inputs`."""

    projection: torch.nn.Linear
    layers: torch.nn.Sequential


class _Inputs:
    """What the network takes, scaled so that all of it counts about the same at the start."""

    def __init__(self, read: ReadNeighbours, folder: Path, learn: np.ndarray, width: int) -> None:
        import torch  # only for a fit

        vectors = word_vectors(folder)
        self._read, self._weight = read, read.weight
        self._pieces = Pieces(folder, len(vectors)).of(read.texts)
        self._words = torch.from_numpy(vectors)
        sample = learn[:: max(1, len(learn) // SAMPLED)]
        counts = np.concatenate([self._numpy(rows)[2] for rows in _parts(sample, PAIRS_AT_A_TIME)])
        dimension, spread = read.vectors.shape[1], counts.std(axis=0) + 1e-6
        root = np.sqrt(dimension) / 4
        parts = [np.full(3 * dimension, root), np.full(dimension, root * root), np.ones(BAGS * width)]
        scale = np.concatenate([*parts, 1 / spread]).astype(np.float32)
        offset = np.concatenate([*map(np.zeros_like, parts), counts.mean(axis=0) / spread])
        self._scale, self._offset = torch.from_numpy(scale), torch.from_numpy(offset.astype(np.float32))

    def __len__(self) -> int:
        return len(self._scale)

    @property
    def words(self) -> int:
        """The length of a word vector."""
        return int(self._words.shape[1])

    def loss(self, network: Network, rows: np.ndarray) -> torch.Tensor:
        """Cross-entropy of each of the pairs to what they were taught, times its weight."""
        import torch  # only for a fit

        uv, split, counts = self._numpy(rows)
        u, v = map(torch.from_numpy, uv)
        one, other, both = (network.projection(self._summed(each)) for each in split)
        bags = [one, other, both, (one - other).abs(), one * other]
        every = torch.cat([u, v, (u - v).abs(), u * v, *bags, torch.from_numpy(counts)], dim=1)
        said = network.layers(every * self._scale - self._offset).log_softmax(dim=1)
        loss: torch.Tensor = -(torch.from_numpy(self._read.taught[rows]) * said).sum(dim=1)
        return loss * torch.from_numpy(self._weight[rows])

    def _numpy(
        self, rows: np.ndarray
    ) -> tuple[tuple[np.ndarray, np.ndarray], tuple[Any, Any, Any], np.ndarray]:
        first, second = self._read.first[rows], self._read.second[rows]
        u, v = self._read.vectors[first], self._read.vectors[second]
        split = split_pieces(self._pieces[first], self._pieces[second])
        return (u, v), split, counts_of(u, v, split)

    def _summed(self, pieces: Any) -> torch.Tensor:
        import torch  # only for a fit

        numbers, begins = (
            torch.from_numpy(each.astype(np.int64)) for each in (pieces.indices, pieces.indptr)
        )
        return torch.nn.functional.embedding_bag(numbers, self._words, begins[:-1], mode="sum")

    def unscaled(self, network: Network) -> tuple[Layers, np.ndarray]:
        """(the layers, the projection) for inputs as they are, rounded as they will be read back."""
        from torch import nn  # only for a fit

        layers = [
            (layer.weight.detach().numpy().T, layer.bias.detach().numpy())
            for layer in network.layers
            if isinstance(layer, nn.Linear)
        ]
        (weights, bias), *others = layers
        first = weights * self._scale.numpy()[:, None], bias - self._offset.numpy() @ weights
        rounded = tuple((as_saved(each), as_saved(its_bias)) for each, its_bias in (first, *others))
        return rounded, as_saved(network.projection.weight.detach().numpy().T)


def _network(inputs: _Inputs, options: NeighbourFitOptions) -> Network:
    from torch import nn  # only for a fit

    projection = nn.Linear(inputs.words, options.width, bias=False)
    nn.init.normal_(projection.weight, std=1 / inputs.words**0.5)
    modules: list[nn.Module] = []
    width = len(inputs)
    for hidden in options.hidden:
        modules.append(nn.Dropout(options.dropout if modules else options.dropout / 2))
        modules += [nn.Linear(width, hidden), nn.ReLU()]
        width = hidden
    layers = nn.Sequential(*modules, nn.Linear(width, len(CLASSES)))
    return Network(projection, layers)
