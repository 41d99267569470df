"""What every generator and critic has in common, and the checks of their sizes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial, wraps
from inspect import isclass, signature
from typing import Any, Literal

import torch
from torch import Tensor, nn

from gan_lightning.errors import UserError, require
from gan_lightning.randomness import Noise
from gan_lightning.shapes import Images, Pair, Shape


class StartsFromData(nn.Module, ABC):
    """A layer whose initial weights depend on the first batch of real data.

    Attributes:
        starting: Set while that batch passes, once, before the first update; the layer then adjusts itself to it. On
            every rank it is the whole global batch.
    """

    starting: bool = False


class DrawsByRow(nn.Module, ABC):
    """A layer that draws random numbers for each of its rows in training, the same on any number of processes.

    Attributes:
        noise: What a turn's numbers come from, with the position in the global batch; None outside of a game.
        n_rows: Samples of this process's batch, or micro-batch; a layer may be shown several sets of so many at once.
    """

    noise: Noise | None = None
    n_rows: int = 0

    def draw_integers(self, high: int, like: Tensor) -> Tensor:
        """Return integers of {0, ..., high - 1} for the rows of `like` `(N, ...)`, `(N, 1)`."""
        n = len(like)
        if self.noise is None:
            return torch.randint(high, (n, 1), device=like.device)
        n_sets = n // self.n_rows if n % self.n_rows == 0 else 1
        return torch.cat([self.noise.integers(high, n // n_sets, 1) for _ in range(n_sets)])


class Network(nn.Module, ABC):
    """A network whose sizes are checked when it is constructed.

    Raises:
        UserError: A number that its constructor is given is outside the range of its name, such as a width of 0.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Check numbers before a subclass's own constructor sees them."""
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = _checked(cls.__init__)  # type: ignore[method-assign]


def _checked(construct: Callable[..., None]) -> Callable[..., None]:
    parameters = signature(construct)

    @wraps(construct)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            given = parameters.bind(self, *args, **kwargs).arguments
        except TypeError:
            given = {}  # the constructor says what is missing or unknown
        require(type(self).__name__, **{name: value for name, value in list(given.items())[1:]})
        construct(self, *args, **kwargs)

    return checked


class Generator(Network):
    """A network from latents to samples.

    Attributes:
        latent_dim: Number of latent coordinates D.
        n_classes: Number of classes it is conditioned on, 0 if it is unconditional.
    """

    latent_dim: int
    n_classes: int = 0

    @abstractmethod
    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents `(N, D)` and labels `(N,)` to images `(N, C, H, W)` in [-1, 1] or vectors `(N, C)`.

        Labels are required by a conditional network (`n_classes > 0`) and ignored by an unconditional one.
        """


class SequenceGenerator(Generator):
    """A generator that writes a sequence symbol by symbol, each from a distribution given those before it.

    A latent coordinate in [-1, 1) chooses a symbol: the one at that place, from -1 to 1, of the probabilities put end to end.
    """

    @abstractmethod
    def log_probabilities(self, symbols: Tensor) -> Tensor:
        """Return log p of every symbol given those before its position, `(N, L, V)`, of sequences `(N, L)`, int64."""

    @abstractmethod
    def completed(self, symbols: Tensor, latents: Tensor) -> Tensor:
        """Return R sequences `(N, R, L)` for each beginning `(N, t)`, t = 0 included, int64.

        Args:
            symbols: The beginnings, int64.
            latents: What chooses the symbols behind them, `(N, R, L - t)` in [-1, 1).
        """


class Ranker(Network):
    """A network from a query and its documents to one score each."""

    @abstractmethod
    def forward(self, queries: Tensor, documents: Tensor | None = None) -> Tensor:
        """Return scores `(N, M)` of documents `(N, M)` for queries `(N,)`; of all documents if none are given."""

    def know(self, counts: Tensor, features: Tensor | None) -> None:
        """Take what the data say of the documents, before training or measuring; nothing unless overridden.

        Args:
            counts: How many queries each document is relevant to, `(documents,)`.
            features: What describes each document, `(documents, F)`, None where indices do.
        """


class Translator(Network):
    """A network from sources to targets of the same height and width, of any size that is a multiple of `multiple`.

    Attributes:
        multiple: What height and width must be multiples of.
    """

    multiple: int = 1

    @abstractmethod
    def forward(self, sources: Tensor, noise: Noise | None = None) -> Tensor:
        """Map images `(N, c, H, W)` to images `(N, C, H, W)`, both in [-1, 1].

        Args:
            sources: What goes in.
            noise: Where its random draws come from, if it makes any; None makes none.
        """


class Critic(Network):
    """A network from samples to one logit each, or one for each of some patches: a head on top of features.

    Attributes:
        n_classes: Number of classes it is conditioned on, 0 if it is unconditional.
        n_features: Width F of its last hidden layer, 0 if it has none to show.
        classifies: Whether it also tells the class, as a `ClassifyingCritic`.
    """

    n_classes: int = 0
    n_features: int = 0
    classifies: bool = False

    @abstractmethod
    def features(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the last hidden layer, `(N, F)`, of images `(N, C, H, W)` in [-1, 1] or vectors `(N, C)`."""

    @abstractmethod
    def head(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return raw logits `(N,)` (no sigmoid) of features `(N, F)`; `(N, ...)` of a critic that judges several patches."""

    def forward(self, samples: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return raw logits `(N,)` (no sigmoid) of samples `(N, ...)` with labels `(N,)`."""
        return self.head(self.features(samples, labels), labels)

    def last_layer(self) -> nn.Linear:
        """Return the linear map from features to the logit, which a critic keeps as its attribute `output`.

        Raises:
            UserError: It keeps none, or one that is not a map of `n_features` features to one logit.
        """
        layer = dict(self.named_children()).get("output")
        if not isinstance(layer, nn.Linear) or (layer.in_features, layer.out_features) != (self.n_features, 1):
            raise UserError(
                f"{type(self).__name__} has no last linear layer from its {self.n_features} features to a logit: "
                f"its attribute output is {layer}; take another critic, such as DCGANCritic or MLPCritic"
            )
        return layer

    def feature_parameters(self) -> list[nn.Parameter]:
        """Return the parameters behind `features`: all but the last layer's.

        Raises:
            UserError: There is no last linear layer to leave out.
        """
        left_out = {id(parameter) for parameter in self.last_layer().parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in left_out]


GeneratorFactory = Callable[[Shape], Generator]
"""Builds a generator of samples of a shape."""

CriticFactory = Callable[[Shape], Critic]
"""Builds a critic of samples of a shape."""

TranslatorFactory = Callable[[Shape], Translator]
"""Builds a translator for the pair of a source and a target."""

RankerFactory = Callable[[Shape], Ranker]
"""Builds a ranker of so many queries and documents."""


NClasses = int | Literal["auto"]
"""Number of classes of a network; auto takes as many as the data have."""


def count_classes(n_classes: NClasses) -> int:
    """Return the number of classes that a network was given.

    Raises:
        UserError: It is auto still, or negative.
    """
    if n_classes == "auto":
        raise UserError("n_classes auto is the data's, and they are not known here; give the game classes, or a number")
    if n_classes < 0:
        raise UserError(f"n_classes must not be negative, got {n_classes}")
    return n_classes


def with_classes(factory: Any, n_classes: int, where_none: bool = False) -> Any:
    """Return a factory of networks with a number in place of every `n_classes` that is auto.

    Args:
        factory: A class, or a partial of one, whose arguments may be factories again; others are returned unchanged.
        n_classes: The number.
        where_none: Also in place of 0, in the outermost network that has classes.
    """
    if isclass(factory):
        factory = partial(factory)
    if not isinstance(factory, partial):
        return factory
    given = dict(factory.keywords)
    # jsonargparse makes partials of its own instantiator, whose argument is the class
    parameters: Any = next((signature(part).parameters for part in (factory.func, *factory.args) if isclass(part)), {})
    if "n_classes" in parameters:
        typed = given.get("n_classes", parameters["n_classes"].default)
        if typed == "auto" or (where_none and typed == 0):
            given["n_classes"] = n_classes
        where_none = False
    for name, value in given.items():
        if isclass(value) or isinstance(value, partial):
            given[name] = with_classes(value, n_classes, where_none)
    return partial(factory.func, *factory.args, **given)


def require_pair(shape: Shape) -> tuple[Images, Images]:
    """Return the shapes of source and target that a translator was asked for.

    Raises:
        UserError: It is not that of two images of one size.
    """
    if not isinstance(shape, Pair):
        raise UserError(
            f"a translator makes images of images, and these data are {shape.words} without sources; take pairs, such as "
            "DegradedFolder, SideBySide, TwoFolders or UnpairedFolders"
        )
    source, target = require_images(shape.source), require_images(shape.target)
    if (source.height, source.width) != (target.height, target.width):
        raise UserError(
            f"a translator makes images of the size that goes in, got sources of {source.height}x{source.width} and targets "
            f"of {target.height}x{target.width}; take pairs of one size, such as LowResolution with keep_size"
        )
    return source, target


def require_images(shape: Shape) -> Images:
    """Return the shape that an image network was asked for.

    Raises:
        UserError: It is not that of images.
    """
    if not isinstance(shape, Images):
        raise UserError(f"this network is for images, got {shape}; take MLPGenerator and MLPCritic")
    return shape


def pyramid(shape: Images) -> tuple[tuple[int, int], int]:
    """Return the coarsest height and width, and how often they double to those of the images.

    The shorter side starts from 4, 5, 6 or 7: 4 for 32, 7 for 28, 6 for 48; 64x96 is (4, 6) doubled four times.

    Raises:
        UserError: The shorter side is not such a number times a power of two from 2 on, or the longer one cannot be
            halved as often.
    """
    short, long = sorted((shape.height, shape.width))
    base, n = short, 0
    while base >= 8 and base % 2 == 0:
        base, n = base // 2, n + 1
    if short < 8 or base >= 8:
        near = next(b * 2**k for k in range(1, 64) for b in (4, 5, 6, 7) if b * 2**k >= short)
        raise UserError(
            f"image_size must be 4, 5, 6 or 7 times a power of two and at least 8 for this network, got {short}; "
            f"let the data resize to {near}"
        )
    if long % 2**n:
        near = long + 2**n - long % 2**n
        raise UserError(
            f"the longer side of the images must be a multiple of {2**n} for this network, as the shorter one of {short} "
            f"is halved {n} times, got {long}; let the data resize to {near}"
        )
    return (shape.height // 2**n, shape.width // 2**n), n


def require_labels(labels: Tensor | None) -> Tensor:
    """Return the labels that a conditional network was given.

    Raises:
        UserError: There are none.
    """
    if labels is None:
        raise UserError(
            "this network is conditioned on labels and got none; "
            "take data that give labels, or set the network's n_classes to 0"
        )
    return labels
