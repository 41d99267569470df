"""Compiled turns: the loss of a player's turn and its gradients, traced once to one graph and compiled for the device.

A turn is traced as it is run (`make_fx`), with its backward pass and with the derivatives inside that a penalty on slopes
takes, on tensors without values. What goes in is all that may change from turn to turn: the batch, the random draws, weights
and buffers. A turn that needs anything else, such as the number of its update, is refused while it is traced. Plain values
of the parts (a weight, a mode) are part of the key under which a graph is kept.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from gan_lightning.errors import UserError, say
from gan_lightning.execution.precision import loss_of
from gan_lightning.execution.process_state import nothing_kept
from gan_lightning.randomness import Noise

MOST = 8
"""Graphs that a player may have: lazy penalties need one for each set that is due together."""

OPTIONS: dict[str, Any] = {
    "fallback_random": True,
    # Vectors of the last, short part of a row may read beyond the tensor (torch 2.14). What they find there is not kept, but
    # sines and cosines take another way if any lane is large: the same turn would differ in its last bits from run to run.
    "cpp.enable_loop_tail_vec": False,
}
"""What graphs are compiled with."""

_COUNTS = ("updates_done", "critic_updates_done", "fresh_batches_taken", "samples_seen")
_LEAVE_OUT = "leave model.compile out"


class Tape:
    """The random draws of a turn in the order in which they are made, so that other keys can make them before it.

    Args:
        n_sources: Sources of draws that the turn starts with.

    Attributes:
        draws: Of which source, which kind, how many rows, and the shape of a row.
        forks: Of which source each further one repeats the draws, and after how many draws in all.
        values: The draws themselves, of the turn that was recorded.
        feed: Draws to hand out again; None while they are recorded.
    """

    def __init__(self, n_sources: int) -> None:
        self.n_sources = n_sources
        self.draws: list[tuple[int, Any, int, tuple[int, ...]]] = []
        self.forks: list[tuple[int, int]] = []
        self.values: list[Tensor] = []
        self.feed: Iterator[Tensor] | None = None

    def between(self, sources: Sequence[Noise], feed: Sequence[Tensor] | None = None) -> list[Noise]:
        """Return the sources with this tape between; `feed` hands out draws instead of making them."""
        self.feed = None if feed is None else iter(feed)
        return [TapedNoise(source, self, index) for index, source in enumerate(sources)]

    def again(self, sources: Sequence[Noise]) -> list[Tensor]:
        """Make the same draws from other sources."""
        known, values, forks = list(sources), [], iter([*self.forks, (-1, -1)])
        parent, place = next(forks)
        for index, (source, draw, n, shape) in enumerate(self.draws):
            while place == index:
                known.append(known[parent].repeated())
                parent, place = next(forks)
            values.append(known[source]._rows(draw, n, shape))
        return values


class TapedNoise(Noise):
    """Draws that a tape takes note of, or that it hands out again in the same order.

    Args:
        source: Makes the draws while they are recorded.
        tape: Takes note of them.
        index: Of the source on the tape.
    """

    def __init__(self, source: Noise, tape: Tape, index: int) -> None:
        self.source, self.tape, self.index = source, tape, index
        self.device, self.dtype, self.shard = source.device, source.dtype, source.shard

    @property
    def update(self) -> int:  # type: ignore[override]
        """Refuse to say: a graph is the same at every update."""
        raise _Refusal("something of it is annealed over the updates")

    def repeated(self) -> Noise:
        """Return the source of the draws that this one is about to make."""
        tape = self.tape
        if tape.feed is not None:
            return self
        tape.forks.append((self.index, len(tape.draws)))
        tape.n_sources += 1
        return TapedNoise(self.source.repeated(), tape, tape.n_sources - 1)

    def _rows(self, draw: Any, n: int, shape: tuple[int, ...]) -> Tensor:
        if self.tape.feed is not None:
            return next(self.tape.feed)
        numbers = self.source._rows(draw, n, shape)
        self.tape.draws.append((self.index, draw, n, shape))
        self.tape.values.append(numbers)
        return numbers


Places = list[tuple[dict[str, Any], str]]


class Graph(NamedTuple):
    """A compiled turn.

    Attributes:
        call: Takes moving weights, other weights and buffers, the batch and draws; returns terms, numbers and gradients.
        tape: The draws that it needs.
        terms: Names of the terms.
        numbers: Names of the numbers that the turn records.
        moving: Where the weights are that move.
        resting: Where the other weights and the buffers are; what is there may become another tensor.
    """

    call: Callable[..., tuple[list[Tensor], list[Tensor], list[Tensor | None]]]
    tape: Tape
    terms: list[str]
    numbers: list[str]
    moving: Places
    resting: Places


def tensors_at(moving: Places, resting: Places) -> tuple[list[Tensor], list[Tensor]]:
    """Return the weights that move, without a graph, and the rest."""
    return [where[name].detach() for where, name in moving], [where[name] for where, name in resting]


class CompiledTurns:
    """The compiled turns of a game.

    Args:
        game: Whose; its attribute `tracing` is true while a turn of it is traced.
    """

    def __init__(self, game: Any) -> None:
        self.game = game
        self.graphs: dict[Hashable, Graph] = {}
        self._modules: list[nn.Module] = []
        self._plain_of: list[dict[str, Any]] = []
        self._plain: list[tuple[dict[str, Any], str]] = []
        self._size = -1

    def play(
        self,
        player: str,
        turn: Callable[[Any], dict[str, Tensor]],
        rows: Any,
        sources: Sequence[Noise],
        give: Callable[[Sequence[Noise]], None],
        share: float,
    ) -> dict[str, Tensor]:
        """Add the gradients of a turn's loss to its player's weights and return its terms, without a graph.

        Args:
            player: Whose turn it is.
            turn: Returns the terms of the loss on a batch.
            rows: The batch.
            sources: The random draws of the turn.
            give: Hands sources of draws to the game.
            share: Factor on the gradients.

        Raises:
            UserError: The turn cannot be compiled, or is not the same from update to update.
        """
        leaves, spec = tree_flatten(rows)
        key = self._key(player, leaves, share)
        if (graph := self.graphs.get(key)) is not None:
            draws = graph.tape.again(sources)
        else:
            others = [other for other in self.graphs if other[0] == player]  # type: ignore[index]
            if len(others) >= MOST:
                raise UserError(
                    f"model.compile: {self._what_changes(key, others[-1])} changes with the updates; {_LEAVE_OUT}"
                )
            graph = self.graphs[key] = self._compile(player, turn, leaves, spec, sources, give, share)
            draws, graph.tape.values = graph.tape.values, []
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        with torch.no_grad(), torch.autocast(self.game.device.type, enabled=False):
            terms, numbers, gradients = graph.call(*tensors_at(graph.moving, graph.resting), tensors, draws)
        for (where, name), gradient in zip(graph.moving, gradients, strict=True):
            parameter = where[name]
            if gradient is not None:
                parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        self.game.record(dict(zip(graph.numbers, numbers, strict=True)))
        return dict(zip(graph.terms, terms, strict=True))

    def _compile(
        self,
        player: str,
        turn: Callable[[Any], dict[str, Tensor]],
        leaves: list[Any],
        spec: TreeSpec,
        sources: Sequence[Noise],
        give: Callable[[Sequence[Noise]], None],
        share: float,
    ) -> Graph:
        game, family = self.game, type(self.game).__name__
        names, moving, resting = self._places()
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        tape, terms_named, numbers_named = Tape(len(sources)), [], []

        def run(batch: list[Tensor]) -> dict[str, Tensor]:
            values = iter(batch)
            whole = tree_unflatten([next(values) if isinstance(leaf, Tensor) else leaf for leaf in leaves], spec)
            return turn(whole)

        def graph(
            movable: list[Tensor], others: list[Tensor], batch: list[Tensor], draws: list[Tensor]
        ) -> tuple[list[Tensor], list[Tensor], list[Tensor | None]]:
            movable = [weight.detach().requires_grad_() for weight in movable]
            give(tape.between(sources, draws))
            state = {f"game.{name}": value for name, value in zip(names, [*movable, *others], strict=True)}
            with torch.enable_grad():
                terms = functional_call(_Turn(game, run), state, (batch,))
                loss = loss_of(terms) * share
                with torch.autocast(game.device.type, enabled=False):
                    slopes = torch.autograd.grad(loss, movable, allow_unused=True)
                gradients = [laid_out_as(*pair) for pair in zip(movable, slopes, strict=True)]
            terms_named.extend(terms)
            numbers_named.extend(game._logged)
            return [t.detach() for t in terms.values()], list(game._logged.values()), gradients

        try:
            with self._traced(), nothing_kept(game, game.device):
                give(tape.between(sources))
                wanted = {name: value.detach() for name, value in run(tensors).items()}
                inputs = (*tensors_at(moving, resting), tensors, tape.values)
                game._logged = {}
                torch.clear_autocast_cache()
                traced = make_fx(graph, tracing_mode="fake")(*inputs)
        except UserError:
            raise
        except Exception as error:
            first = (str(error).splitlines() or [""])[0][:200]
            raise UserError(
                f"{family} cannot be compiled, because the {player}'s turn is not one graph ({type(error).__name__}: {first}); "
                f"{_LEAVE_OUT}"
            ) from error
        finally:
            torch.clear_autocast_cache()
        if kept := self._kept():
            raise UserError(f"{family} cannot be compiled ({player}: {kept} keeps tensors of the turn); {_LEAVE_OUT}")
        for node in traced.graph.nodes:
            if node.kwargs.get("generator") is not None:
                raise UserError(
                    f"{family} cannot be compiled ({player}: it has a random generator of its own); {_LEAVE_OUT}"
                )
        say(f"compiling the {player}'s turn, once for its kind")
        try:
            with warnings.catch_warnings(), torch.no_grad(), nothing_kept(game, game.device):
                warnings.simplefilter("ignore")
                call = torch.compile(traced, fullgraph=True, dynamic=False, options=OPTIONS)
                with torch.autocast(game.device.type, enabled=False):
                    found, _, gradients = call(*inputs)
        except Exception as error:
            first = (str(error).splitlines() or [""])[0][:200]
            raise UserError(
                f"model.compile needs a compiler that torch.compile can use (on the CPU g++), and it failed "
                f"({type(error).__name__}: {first}); {_LEAVE_OUT}"
            ) from error
        for name, value in zip(terms_named, found, strict=True):
            if not torch.isclose(value.double(), wanted[name].double(), rtol=0.05, atol=1e-3):
                raise UserError(
                    f"model.compile: the compiled {player}/{name} is {float(value):.6g} and {float(wanted[name]):.6g} without; "
                    f"{_LEAVE_OUT}"
                )
        for weight, gradient in zip(inputs[0], gradients, strict=True):
            if gradient is not None and gradient.stride() != weight.stride():
                raise RuntimeError(f"a compiled gradient has strides {gradient.stride()}, its weight {weight.stride()}")
        return Graph(call, tape, terms_named, numbers_named, moving, resting)

    @contextmanager
    def _traced(self) -> Iterator[None]:
        """Let the game not know how many updates it has made; what it records is its own affair meanwhile."""
        game = self.game
        counts, logged = {name: vars(game)[name] for name in _COUNTS}, game._logged
        game.prepare_tracing()
        try:
            game.tracing, game._logged = True, {}
            vars(game).update({name: _Count(name) for name in counts})
            yield
        finally:
            game.tracing, game._logged = False, logged
            vars(game).update(counts)

    def _places(self) -> tuple[list[str], Places, Places]:
        """Return names, and where the weights are that move, and the other ones with the buffers, without the average's."""
        names: list[tuple[bool, str]] = []
        moving: Places = []
        resting: Places = []
        seen: set[int] = set()
        found: list[tuple[str, dict[str, Any], str]] = []
        for prefix, part in self.game.named_modules():
            if not f"{prefix}.".startswith("generator_average."):
                for where in (part._parameters, part._buffers):
                    found += [(f"{prefix}.{name}".lstrip("."), where, name) for name in where]
        for full, where, name in found:
            value = where[name]
            if value is not None and id(value) not in seen:
                seen.add(id(value))
                names.append((value.requires_grad, full))
                (moving if value.requires_grad else resting).append((where, name))
        return [full for moves, full in sorted(names, key=lambda one: not one[0])], moving, resting

    def _key(self, player: str, leaves: list[Any], share: float) -> tuple[Any, ...]:
        device = self.game.device.type
        shapes = tuple((leaf.shape, leaf.dtype) if isinstance(leaf, Tensor) else repr(leaf) for leaf in leaves)
        cast = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        return (player, shapes, share, cast, self.game.variant(player), tuple(self._settings()))

    def _settings(self) -> Iterator[Any]:
        """Yield the plain values of the game's parts, which a graph holds as they were."""
        size = sum(map(len, self._plain_of))
        if size != self._size:  # a part has got an attribute that it had not
            average = {id(module) for module in self.game.generator_average.modules()}
            self._modules = [module for module in self.game.modules() if id(module) not in average]
            self._plain_of = [vars(module) for module in self._modules]
            self._size = sum(map(len, self._plain_of))
            own = vars(self.game)
            self._plain = [
                (values, name)
                for values in self._plain_of
                for name, value in values.items()
                if isinstance(value, int | float | str) and not (values is own and (name in _COUNTS or name[0] == "_"))
            ]
        for values, name in self._plain:
            yield values[name]

    def _kept(self) -> str:
        """Return the name of a part that keeps tensors without values, empty if there is none."""
        for module in self._modules:
            for name, value in vars(module).items():
                held = (
                    value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
                )
                if any(isinstance(one, FakeTensor) for one in held):
                    return f"{type(module).__name__}.{name}"
        return ""

    def _what_changes(self, one: Any, other: Any) -> str:
        for (values, name), mine, theirs in zip(self._plain, one[-1], other[-1], strict=False):
            if mine != theirs:
                (owner,) = [module for module in self._modules if vars(module) is values]
                return f"{type(owner).__name__}.{name}"
        return f"what the {one[0]}'s turn depends on, the batch's shape among it,"


def laid_out_as(weight: Tensor, gradient: Tensor | None) -> Tensor | None:
    """Return a gradient with its weight's strides: backward sees to that, and fused optimizers rely on it."""
    if gradient is None or gradient.stride() == weight.stride():
        return gradient
    return torch.empty_strided(weight.shape, weight.stride(), dtype=gradient.dtype, device=gradient.device).copy_(
        gradient
    )


class _Turn(nn.Module):
    """A turn as the forward pass of a module, whose weights and buffers can be others for a call."""

    def __init__(self, game: nn.Module, run: Callable[[list[Tensor]], dict[str, Tensor]]) -> None:
        super().__init__()
        self.game, self.run = game, run

    def forward(self, batch: list[Tensor]) -> dict[str, Tensor]:
        """Return the terms of the loss."""
        return self.run(batch)


class _Refusal(UserError):
    """What a turn does that a graph cannot."""

    def __init__(self, what: str) -> None:
        super().__init__(f"model.compile: the turn cannot be one graph, because {what}; {_LEAVE_OUT}")


class _Count:
    """A count of updates that nobody may look at."""

    def __init__(self, name: str) -> None:
        self.name = name

    def _refuse(self, *_: Any) -> Any:
        raise _Refusal(f"it looks at {self.name}")

    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __bool__ = __hash__ = __int__ = __index__ = _refuse  # type: ignore[assignment]
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __mod__ = __floordiv__ = __truediv__ = _refuse
    __float__ = __rtruediv__ = _refuse
