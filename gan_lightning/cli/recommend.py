"""`gan-lightning recommend`: the items that a checkpoint's generator scores highest, without those that a user has."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Any

import torch

from gan_lightning.errors import UserError, nearest, say
from gan_lightning.evaluation.output import output_file, write_whole
from gan_lightning.games.restore import load_finite_game
from gan_lightning.protocols import Ranking
from gan_lightning.runs.checkpoint_files import read_checkpoint

_AT_ONCE = 64
"""Users whose scores of all items are held at a time."""


def write_recommendations(ckpt_path: str, users: str, k: int, out: str, trust: bool = False) -> None:
    """Write a table of user, rank, item and score: the k best items of each user that the user does not have.

    Items that the training part gives a user are left out whether they are liked or not. A user with fewer than k other
    items gets what there is.

    Args:
        ckpt_path: The checkpoint; nothing else is needed.
        users: Names with commas between, or `all`.
        k: Items of each user.
        out: The CSV file.
        trust: Import whatever classes the checkpoint names.

    Raises:
        UserError: The checkpoint ranks nothing, or there is no such user.
        RunFailed: The disk is full.
    """
    if Path(out).is_dir():
        raise UserError(f"--out {out} is a folder; give a file, such as recommendations.csv")
    output_file(out)
    game = load_finite_game(ckpt_path, trust)
    known = _known(read_checkpoint(ckpt_path))
    if not isinstance(game, Ranking) or known is None:
        raise UserError(
            f"{ckpt_path} is of {type(game).__name__}, which recommends nothing; give a checkpoint of IRGAN"
        )
    names, items = known["users"], known["items"]
    places = {name: place for place, name in enumerate(names)}
    wanted = list(names) if users == "all" and users not in places else _wanted(users, places)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["user", "rank", "item", "score"])
    few = 0
    for start in range(0, len(wanted), _AT_ONCE):
        part = wanted[start : start + _AT_ONCE]
        scores = game.scores(torch.tensor([places[name] for name in part])).float().cpu()
        for name, own in zip(part, scores, strict=True):
            begin, end = known["offsets"][places[name]], known["offsets"][places[name] + 1]
            has = known["seen"][begin:end].long()
            own[has] = -torch.inf
            n = min(k, len(items) - len(has))
            few += n < k
            best = own.sort(descending=True, stable=True)
            for rank, (item, score) in enumerate(
                zip(best.indices[:n].tolist(), best.values[:n].tolist(), strict=True), 1
            ):
                writer.writerow([name, rank, items[item], f"{score:.6g}"])
    write_whole(Path(out), lambda file: file.write(table.getvalue().encode()))
    if few:
        say(f"{few} of {len(wanted)} users have fewer than {k} items left")
    print(f"{len(wanted)} users' best items of {ckpt_path} (update {game.updates_done}) in {out}", file=sys.stderr)


def _known(checkpoint: dict[str, Any]) -> dict[str, Any] | None:
    """Return what the checkpoint's data say of users and items, None if they are of something else."""
    return next(
        (part for part in checkpoint.values() if isinstance(part, dict) and {"users", "items", "seen"} <= part.keys()),
        None,
    )


def _wanted(users: str, places: dict[str, int]) -> list[str]:
    if users in places:  # a name with a comma
        return [users]
    words = [word.strip() for word in users.split(",") if word.strip()]
    for word in words:
        if word not in places:
            raise UserError(
                f"--users: there is no user {word!r} in the training data{nearest(word, list(places)[:10_000])}; give names "
                "as the file writes them, with commas between, or all"
            )
    if not words:
        raise UserError(f"--users must be names of users with commas between, or all, got {users!r}")
    return list(dict.fromkeys(words))
