"""Terms added to the generator's loss, whatever the family."""

from __future__ import annotations

from math import lgamma, log, pi
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from gan_lightning.errors import UserError
from gan_lightning.execution.ranks import mean_over_ranks, rows_of_all_ranks
from gan_lightning.networks.base import Critic, CriticFactory
from gan_lightning.protocols import Host
from gan_lightning.stabilizers.base import GeneratorTerm, GeneratorTurn
from gan_lightning.stabilizers.historical_averaging import ParameterMean


@final
class FeatureMatching(GeneratorTerm):
    """|E h(x) - E h(G(z))|^2, h the critic's last hidden layer (Salimans 2016, arXiv:1606.03498, section 3.1).

    In the paper it is the generator's whole loss: set the game's `adversarial_weight` to 0 for that. The generator's turn
    has a real batch of its own, as in the authors' code (openai/improved-gan, which has mean absolute differences
    instead of the paper's squared distance). The means are over all ranks (over a micro-batch under accumulation).

    Example:
        >>> FeatureMatching()(game, turn).item()  # |(1, 1) - (0, 0)|^2
        2.0

    Args:
        weight: Weight of the term.
    """

    name = "feature_matching"
    fresh_real = True

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__(weight)

    def forward(self, game: Host, turn: GeneratorTurn) -> Tensor:
        """Return the weighted squared Euclidean distance of the mean features."""
        with torch.no_grad():
            target = mean_over_ranks(game.critic.features(turn.real, turn.labels).mean(0))
        found = mean_over_ranks(game.critic.features(turn.fake, turn.labels).mean(0))
        return self.weight * (found - target).square().sum()

    def check(self, game: Host) -> None:
        """Refuse a critic that has no hidden layer to match."""
        if not isinstance(game.critic, Critic) or not game.critic.n_features:
            raise UserError(
                f"FeatureMatching needs the critic's features, but {type(game.critic).__name__} has none (no "
                "n_features); take a critic with a head on features, such as DCGANCritic or MLPCritic"
            )


@final
class HistoricalAveraging(GeneratorTerm):
    """|theta - 1/t sum_i theta_i|^2 over the generator's parameters (Salimans 2016, arXiv:1606.03498, section 3.3).

    The mean is over the values after each update so far and the initial ones; it is in the checkpoint. The critic's
    term is `gan_lightning.stabilizers.HistoricalAveraging`.

    Example:
        >>> averaging = HistoricalAveraging()
        >>> averaging.attach(game)
        >>> averaging(game, turn).item()  # nothing has moved yet
        0.0

    Args:
        weight: Weight of the term; the paper names none.
    """

    name = "historical_averaging"

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.history: ParameterMean

    def attach(self, game: Host) -> None:
        """Start the mean at the generator's initial parameters."""
        self.history = ParameterMean(game.generator.parameters())

    def forward(self, game: Host, turn: GeneratorTurn) -> Tensor:
        """Return the weighted squared Euclidean distance of the generator's parameters from their mean."""
        return self.weight * self.history.squared_distance(game.generator.parameters())

    def after_update(self, game: Host) -> None:
        """Take the generator's new parameters into the mean."""
        self.history.update(game.generator.parameters())


@final
class ModeSeeking(GeneratorTerm):
    """1 / (E |G(z) - G(z')| / E |z - z'| + eps), mean absolute differences (MSGAN; Mao 2019, arXiv:1903.05628, eq. 2).

    The paper maximises the ratio; its code minimises the inverse of the ratio of the batch means, which is done here.
    z' is a second batch of latents with the same labels, so each update generates twice as many samples. The means are
    over all ranks (over a micro-batch under accumulation).

    Example:
        >>> round(ModeSeeking()(game, turn).item(), 3)  # G(z) = z moves as far as its latents
        1.0

    Args:
        weight: Weight of the term.
        eps: Added to the ratio.
    """

    name = "mode_seeking"

    def __init__(self, weight: float = 1.0, eps: float = 1e-5) -> None:
        super().__init__(weight)
        if not eps > 0:
            raise UserError(f"eps of ModeSeeking must be above 0, got {eps}; the authors' is 1e-5")
        self.eps = eps

    def forward(self, game: Host, turn: GeneratorTurn) -> Tensor:
        """Return the weight over the ratio of the samples' mean distance to their latents' mean distance."""
        latents = game.latents(len(turn.latents))
        generated = game.generator(latents, turn.generated_labels)
        moved = (generated - turn.generated).abs().mean(), (latents - turn.latents).abs().mean()
        samples, codes = mean_over_ranks(torch.stack([mean.to(generated.dtype) for mean in moved]))
        return self.weight / (samples / codes + self.eps)


@final
class EntropyRegularization(GeneratorTerm):
    """-H(G(z)), the differential entropy in nats by the k-nearest-neighbour estimator of Kozachenko & Leonenko (1987).

    H = psi(N) - psi(k) + log V_d + d/N sum_i log eps_i, with eps_i the Euclidean distance of sample i to its k-th
    nearest neighbour among the N of all ranks (of a micro-batch under accumulation), d their dimension and V_d the volume
    of the unit ball (Kraskov 2004, arXiv:cond-mat/0305641, eq. 20). Its gradient pushes each sample away from its
    neighbour. On images, d is the number of pixels: choose the weight accordingly.

    Example:
        >>> round(EntropyRegularization()(game, turn).item(), 3)
        -0.039

    Args:
        weight: Weight of the term.
        k: Which neighbour.
    """

    name = "entropy"

    def __init__(self, weight: float = 0.01, k: int = 1) -> None:
        super().__init__(weight)
        if k < 1:
            raise UserError(f"k of EntropyRegularization must be at least 1, got {k}; 1 is the nearest neighbour")
        self.k = k

    def forward(self, game: Host, turn: GeneratorTurn) -> Tensor:
        """Return minus the weighted entropy of the generated samples."""
        return -self.weight * nearest_neighbor_entropy(rows_of_all_ranks(turn.generated.flatten(1)), self.k)

    def check(self, game: Host) -> None:
        """Refuse a batch without a k-th neighbour."""
        share = game.share("generator")
        if share is not None and share.rows <= self.k:
            raise UserError(
                f"EntropyRegularization looks for neighbour {self.k}, but a process's share of the batch of "
                f"{share.batch_size} is {share.rows} samples; raise data.batch_size or lower k"
            )


def nearest_neighbor_entropy(points: Tensor, k: int = 1) -> Tensor:
    """Return the estimate of Kozachenko & Leonenko, in nats, of the entropy that points `(N, d)` were drawn with.

    Points closer than 1e-12 count as that far apart, so that copies do not make it infinite.

    Example:
        >>> points = torch.rand(2000, 1, generator=torch.Generator().manual_seed(0))
        >>> abs(nearest_neighbor_entropy(points).item()) < 0.05  # uniform on [0, 1) has entropy 0
        True
    """
    n, d = points.shape
    # without the matrix-product shortcut, whose cancellation spoils small distances
    distances = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    nearest = distances.topk(k + 1, largest=False).values[:, k]  # the first is the point itself
    log_volume = d / 2 * log(pi) - lgamma(d / 2 + 1)
    digammas = torch.digamma(torch.tensor([n, k], dtype=torch.float64))
    constant = (digammas[0] - digammas[1]).item() + log_volume
    return constant + d * nearest.clamp(min=1e-12).log().mean()


@final
class LatentReconstruction(GeneratorTerm):
    """1/2 E |z - F(G(z))|^2 = -E log N(z; F(G(z)), I) + const, F a network of the generator player's.

    The reconstructor of VEEGAN (Srivastava 2017, arXiv:1705.07761, eq. 3) without its critic on pairs: a generator that
    drops a mode or folds the latents cannot be inverted. -E log N is an upper bound of the conditional entropy of z
    given G(z), so the term bounds the mutual information of latents and samples from below (as in InfoGAN).

    Example:
        >>> LatentReconstruction(lambda shape: critic, weight=0.5).weight
        0.5

    Args:
        network: Builds F's features, as for a critic of the samples; a linear map to the latents follows.
        weight: Weight of the term.
    """

    name = "reconstruction"

    def __init__(self, network: CriticFactory, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.network = network
        self.body: Critic
        self.output: nn.Linear

    def attach(self, game: Host) -> None:
        """Build F for the samples and latents of the game."""
        self.body = self.network(game.shape)
        self.output = nn.Linear(self.body.n_features, game.generator.latent_dim)

    def forward(self, game: Host, turn: GeneratorTurn) -> Tensor:
        """Return half the weighted mean squared Euclidean distance of latents and their reconstruction."""
        found = self.output(self.body.features(turn.generated, turn.generated_labels))
        return self.weight * 0.5 * (found - turn.latents).square().sum(1).mean()


@final
class OrthogonalRegularization(GeneratorTerm):
    """Sum over the generator's weights of |W W^T - diag(W W^T)|^2 (Brock 2019, arXiv:1809.11096, eq. 3).

    The rows of W are a layer's filters, `(out, in * k * k)`: the term draws them towards right angles and leaves their
    lengths alone. Under spectral normalisation W is the weight before it. Embeddings are left out.
    The gradient that ajbrock/BigGAN-PyTorch adds is half of this term's.

    Example:
        >>> OrthogonalRegularization()(game, turn).item()  # the rows of the identity are orthogonal
        0.0

    Args:
        weight: beta of the paper.
    """

    name = "orthogonal"

    def __init__(self, weight: float = 1e-4) -> None:
        super().__init__(weight)

    def forward(self, game: Host, turn: GeneratorTurn) -> Tensor:
        """Return the weighted sum, a scalar."""
        products = [filters @ filters.T for filters in _filters(game.generator)]
        return self.weight * torch.stack([p.square().sum() - p.diagonal().square().sum() for p in products]).sum()


def _filters(network: nn.Module) -> list[Tensor]:
    """Return the weights of convolutions and linear maps as matrices `(out, rest)`, before any parametrisation."""
    found = []
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd):
            parametrized = is_parametrized(layer, "weight")
            weight: Any = layer.parametrizations["weight"].original if parametrized else layer.weight  # type: ignore[index,union-attr]
            rows = weight.transpose(0, 1) if isinstance(layer, nn.modules.conv._ConvTransposeNd) else weight
            found.append(rows.flatten(1))
    return found
