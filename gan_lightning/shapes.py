"""The shape of one sample: what data declare, networks are built from, and metrics, pictures and exports dispatch on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from gan_lightning.errors import UserError


class Shape(ABC):
    """The shape of one sample, without the batch."""

    @property
    @abstractmethod
    def size(self) -> tuple[int, ...]:
        """The shape of one sample's tensor."""

    @property
    def words(self) -> str:
        """What such samples are, for messages: "images", "vectors"."""
        return type(self).__name__.lower()

    @property
    def n_values(self) -> int:
        """How many numbers a sample has."""
        return prod(self.size)

    def widened(self, n: int) -> Shape:
        """Return the shape with n more channels, or coordinates, along the first axis.

        Raises:
            UserError: Such samples have no channels.
        """
        raise UserError(
            f"samples of shape {self} have no channels to add {n} to; leave Packing and concatenated labels out"
        )

    def packed(self, n: int) -> Shape:
        """Return the shape of n samples shown as one, along the first axis."""
        return self if n == 1 else self.widened((n - 1) * self.size[0])

    def __post_init__(self) -> None:
        """Refuse an empty axis."""
        for name, value in vars(self).items():
            if isinstance(value, int) and value < 1:
                raise UserError(f"{name} of {type(self).__name__} must be at least 1, got {value}")


@dataclass(frozen=True)
class Images(Shape):
    """Images `(C, H, W)`.

    Example:
        >>> Images(64, 96, 3).size
        (3, 64, 96)

    Args:
        height: Height in pixels.
        width: Width in pixels.
        channels: Number of channels.
    """

    height: int
    width: int
    channels: int

    @property
    def size(self) -> tuple[int, int, int]:
        """`(C, H, W)`."""
        return self.channels, self.height, self.width

    @property
    def side(self) -> int | None:
        """Height and width of square images, None for others."""
        return self.height if self.height == self.width else None

    def widened(self, n: int) -> Images:
        """Return the shape with n more channels."""
        return replace(self, channels=self.channels + n)

    def __str__(self) -> str:
        """Return channels, height and width, such as 3x64x96."""
        return "x".join(map(str, self.size))


@dataclass(frozen=True)
class Vectors(Shape):
    """Vectors `(D,)`.

    Example:
        >>> Vectors(2).packed(3)
        Vectors(dim=6)

    Args:
        dim: Number of coordinates.
    """

    dim: int

    @property
    def size(self) -> tuple[int]:
        """`(D,)`."""
        return (self.dim,)

    def widened(self, n: int) -> Vectors:
        """Return vectors of n more coordinates."""
        return Vectors(self.dim + n)


@dataclass(frozen=True)
class Signals(Shape):
    """Signals `(C, L)`, such as sound.

    Example:
        >>> Signals(16_384, 1).size
        (1, 16384)

    Args:
        length: Number of time steps.
        channels: Number of channels.
    """

    length: int
    channels: int

    @property
    def size(self) -> tuple[int, int]:
        """`(C, L)`."""
        return self.channels, self.length

    def widened(self, n: int) -> Signals:
        """Return the shape with n more channels."""
        return replace(self, channels=self.channels + n)


@dataclass(frozen=True)
class Tokens(Shape):
    """Sequences of symbols, as probabilities `(V, L)` over a vocabulary at each position.

    Example:
        >>> Tokens(length=32, vocabulary=96).size
        (96, 32)

    Args:
        length: Number of positions.
        vocabulary: Number of symbols.
    """

    length: int
    vocabulary: int

    @property
    def size(self) -> tuple[int, int]:
        """`(V, L)`."""
        return self.vocabulary, self.length


@dataclass(frozen=True)
class Rankings(Shape):
    """A query and a document that belong together, by their indices `(2,)`: a user and an item, for instance.

    Example:
        >>> Rankings(queries=943, documents=1682).size
        (2,)

    Args:
        queries: Number of queries, or users.
        documents: Number of documents, or items.
        features: Numbers that describe a document, None where there are only indices.
    """

    queries: int
    documents: int
    features: int | None = None

    @property
    def size(self) -> tuple[int]:
        """`(2,)`."""
        return (2,)

    @property
    def words(self) -> str:
        """What such samples are."""
        return "pairs"


@dataclass(frozen=True)
class Pair(Shape):
    """A source and a target that belong together, such as "32 in, 128 out".

    Example:
        >>> Pair(Images(32, 32, 3), Images(128, 128, 3)).target.size
        (3, 128, 128)

    Args:
        source: What goes in.
        target: What comes out; its size is that of the pair.
    """

    source: Shape
    target: Shape

    @property
    def size(self) -> tuple[int, ...]:
        """The size of the target."""
        return self.target.size

    @property
    def words(self) -> str:
        """What such samples are."""
        return "pairs"


def shape_of(image_size: int | Sequence[int], channels: int) -> Images | Vectors:
    """Return the shape that release 0.1.0 wrote as two numbers: a size of 0 means vectors.

    Example:
        >>> shape_of([64, 96], 4)
        Images(height=64, width=96, channels=4)
        >>> shape_of(0, 2)
        Vectors(dim=2)

    Args:
        image_size: Height and width, one number for both or `[height, width]`; 0 for vectors.
        channels: Channels of images, dimension of vectors.

    Raises:
        UserError: It is not a size.
    """
    sizes = [image_size] * 2 if isinstance(image_size, int) else list(image_size)
    if len(sizes) != 2:
        raise UserError(f"image_size must be one number or [height, width], got {list(sizes)}")
    return Vectors(channels) if sizes == [0, 0] else Images(sizes[0], sizes[1], channels)
