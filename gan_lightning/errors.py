"""How the package fails, and which values numbers may have.

What the user can fix is a `UserError`, what a run cannot help a `RunFailed`, the rest a bug. A number's name means the same
wherever it is used (house style), so that its range is stated once, here, and checked before anything is built. A number
whose name has no line must be finite. What one class narrows further (a family whose `slope` may not be 1) it refuses in
its constructor. Standard library only, because the command line answers typing errors before anything slow is imported.
"""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from inspect import signature
from math import inf, isfinite
from typing import Any, NamedTuple, NoReturn

USER_ERROR = 2
"""Exit code of a mistake that the user can fix."""

RANK_VARIABLES = ("RANK", "SLURM_PROCID", "LOCAL_RANK", "NODE_RANK")
"""Where launchers tell a process its rank; a process of which all are 0 or absent speaks for the run."""


class UserError(ValueError):
    """A mistake of the user, raised on purpose: one line that names the value and the fix; exit code 2.

    Any other exception that leaves the package is a bug of ours, and is shown with its traceback.
    """


class RunFailed(Exception):
    """A run cannot continue for a reason outside it, such as a full disk: one line, exit code 1."""


def fail(message: str, code: int = USER_ERROR) -> NoReturn:
    """Print one line on standard error and exit, by default with code 2, the user's mistake."""
    print(f"gan-lightning: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


def in_one_line(error: BaseException) -> str:
    """Return an exception's message on one line, or its type where it has none."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def nearest(word: str, known: Iterable[str]) -> str:
    """Return " (did you mean ...?)" with the known word that is nearest, or "" if none is near."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" (did you mean {found[0]}?)" if found else ""


def speaks() -> bool:
    """Tell whether this process speaks for its run: it is rank 0 as far as its environment tells."""
    return all(os.environ.get(name, "0") == "0" for name in RANK_VARIABLES)


def say(message: str) -> None:
    """Print one line on standard error, on rank 0."""
    if speaks():
        print(f"gan-lightning: {message}", file=sys.stderr, flush=True)


class Range(NamedTuple):
    """The finite numbers between two ends; an open end is left out."""

    low: float = -inf
    high: float = inf
    open_low: bool = False
    open_high: bool = False

    def __contains__(self, value: object) -> bool:
        """Tell whether a number is in the range."""
        if not isinstance(value, int | float) or not isfinite(value):
            return False
        above = value > self.low if self.open_low else value >= self.low
        return above and (value < self.high if self.open_high else value <= self.high)

    def __str__(self) -> str:
        """Say it as a message does: "must be at least 1"."""
        if self.high < inf:
            return (
                f"must be in {'(' if self.open_low else '['}{self.low:g}, {self.high:g}{')' if self.open_high else ']'}"
            )
        if self.low == -inf:
            return "must be a finite number"
        if self.low == 0 and not self.open_low:
            return "must not be negative"
        return f"must be {'above' if self.open_low else 'at least'} {self.low:g}"


ANY = Range()
SEED = Range(0, 2**32 - 1)  # Lightning's
NOT_NEGATIVE, COUNT, POSITIVE = Range(0), Range(1), Range(0, open_low=True)
SHARE, DECAY = Range(0, 1), Range(0, 1, open_high=True)

_NAMES: dict[Range, str] = {
    COUNT: """
        patch_size growth n_filters n_styles n_critic_pretraining n_rollouts
        width latent_width joint_width hidden_width latent_dim embedding_dim chunk_dim kernel_dim n_layers n_blocks n_kernels
        group_size n_critic n_critic_warm_up critic_accumulation generator_accumulation batch_size interval limit channels
        height length vocabulary dim n_samples n_seeds patience n_rows n_columns isc_splits n_modes n_side n_reference n_codes end
        n_halvings n_users n_items n_liked n_held_out n_factors n_draws n_negatives n_pretraining_negatives n_candidates
        n n_updates n_scales p power log_every_n_steps num_nodes val_check_interval accumulate_grad_batches
    """,
    NOT_NEGATIVE: """
        content_weight style_weight tv_weight perceptual_weight pixel_weight
        weight gp_weight orthogonal_weight order_weight adversarial_weight real_class_weight fake_class_weight
        l1_weight cycle_weight identity_weight n_buffered n_dropout
        generator_class_weight weight_decay eps gamma spread noise noise_dim n_classes n_unrolled n_warm_up n_power_iterations
        n_pretraining every_n_updates every_n_minutes start seed sample_seed split_seed sigma attention_size
    """,
    POSITIVE: """
        lr std clip_value critic_clip_norm generator_clip_norm c n_std kimg radius spacing scale sigmas bucket_megabytes
        timeout_minutes gain k temperature critic_temperature sharpness
    """,
    SEED: "seed_everything",
    SHARE: "share final",
    Range(-1, 1, True, True): "target",
    DECAY: "ema_decay decay betas alpha momentum dropout eval_fraction positive_share",
}
RANGES = {name: wanted for wanted, names in _NAMES.items() for name in names.split()}
"""The range of each name."""

MUST_HAVE = ("metrics", "sigmas", "matchings")
"""Lists that may not be empty."""

KEYS_OF_A_PART = ("class_path", "init_args", "dict_kwargs")
"""Keys of a mapping that says which class a part is."""


def require(owner: str, **values: Any) -> None:
    """Refuse numbers outside the range of their name; None, where a constructor allows it, passes.

    Example:
        >>> require("Adam", lr=0.001, betas=(0.5, 0.999))
        >>> require("Adam", lr=float("nan"))
        Traceback (most recent call last):
        ...
        gan_lightning.errors.UserError: lr of Adam must be above 0, got nan

    Args:
        owner: What the values are given to, for the message.
        **values: Numbers, or lists of them, by name.

    Raises:
        UserError: One is not.
    """
    for name, value in values.items():
        for number in value if isinstance(value, list | tuple) else [value]:
            if isinstance(number, int | float) and number not in RANGES.get(name, ANY):
                whole = "" if number is value else f" in {list(value)}"
                raise UserError(f"{name} of {owner} {RANGES.get(name, ANY)}, got {number}{whole}")


def check_tree(config: Any, path: str = "", owners: Mapping[str, type] | None = None) -> None:
    """Refuse numbers out of range in a nested config, before anything is built from it.

    Args:
        config: Nested mappings, lists and values; a class is a mapping of `class_path` and `init_args`.
        path: Where it stands, as the command line writes it: `model.generator`.
        owners: The classes of those parts at the top that name none.

    Raises:
        UserError: The line has the path, the value and the range.
    """
    for name, where, value, owner in _leaves(config, path.rpartition(".")[2], path, None):
        owner = owner or (owners or {}).get(where.partition(".")[0])
        if value is None and owner is not None and _must_be_number(owner, name):
            raise UserError(f"{where} must be a number, got null; leave it out to take the default")
        if value == [] and name in MUST_HAVE:
            raise UserError(f"{where} must name at least one, got an empty list")
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and value not in RANGES.get(name, ANY):
            raise UserError(f"{where} {RANGES.get(name, ANY)}, got {value}")


def _leaves(value: Any, name: str, path: str, owner: type | None) -> Iterator[tuple[str, str, Any, type | None]]:
    """Yield name, path, value and class of everything in a nested config that is no mapping; of lists the items."""
    if isinstance(value, Mapping):
        given = value.get("class_path")
        for key, inner in value.items():
            if key in KEYS_OF_A_PART and given is not None:
                for argument, own in inner.items() if isinstance(inner, Mapping) else ():
                    yield from _leaves(own, str(argument), f"{path}.{argument}", imported_class(str(given)))
            else:
                yield from _leaves(inner, str(key), f"{path}.{key}".lstrip("."), None)
    elif isinstance(value, list | tuple) and value:
        for index, inner in enumerate(value):
            yield from _leaves(inner, name, f"{path}[{index}]", None)
    else:
        yield name, path, list(value) if isinstance(value, tuple) else value, owner


def imported_class(path: str) -> type | None:
    """Return the class at a path of a module that has been imported, None if there is none."""
    module, _, name = path.rpartition(".")
    found = vars(sys.modules[module]).get(name) if module in sys.modules else None
    return found if isinstance(found, type) else None


def _must_be_number(cls: type, name: str) -> bool:
    """Tell whether an argument of a class is annotated as a number, or numbers, that may not be None."""
    for base in cls.__mro__:
        parameters = signature(base).parameters if "__init__" in vars(base) and base is not object else {}
        if name in parameters:
            words = str(parameters[name].annotation)
            return (
                "None" not in words and re.match(r"(<class ')?(int|float|(tuple|list)\[(int|float))", words) is not None
            )
    return False
