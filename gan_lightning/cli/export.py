"""`gan-lightning export` and `share`: the averaged generator of a checkpoint, for those who have no checkpoint."""

from __future__ import annotations

import io
import json
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import gan_lightning
from gan_lightning.cli.config_files import as_yaml
from gan_lightning.description import describe, describe_module
from gan_lightning.errors import UserError, in_one_line
from gan_lightning.evaluation.output import output_file, output_folder, write_whole
from gan_lightning.evaluation.pictures import drawn
from gan_lightning.evaluation.sample_files import said
from gan_lightning.games.restore import MODEL, WEIGHTS, load_finite_game
from gan_lightning.games.sampling import SamplingGame
from gan_lightning.runs.checkpoint_files import read_checkpoint
from gan_lightning.runs.home import without_home
from gan_lightning.runs.safetensors import write_tensors
from gan_lightning.shapes import Images

LARGEST_DIFFERENCE = 1e-4
"""Largest difference of a sample's value, in [-1, 1], between an exported generator and this one."""


def write_program(ckpt_path: str, out: str, trust: bool = False) -> None:
    """Write the averaged generator in the form that the suffix of `out` says, with what it needs to be used in `model.json`.

    Raises:
        UserError: There is no such form, the checkpoint has no generator of samples, or there can be no such file.
        RunFailed: The disk is full.
    """
    path = Path(out)
    if path.suffix not in FORMS:
        raise UserError(
            f"--out {out} must end in {', '.join(FORMS)}, which says the form of the file; got {path.suffix or 'none'}"
        )
    write, hint = FORMS[path.suffix]
    output_file(out, *([MODEL] if path.suffix == ".safetensors" else []))
    checkpoint = read_checkpoint(ckpt_path, hold=True)
    game = _sampling(ckpt_path, trust)
    facts = json.dumps(facts_of(game, ckpt_path, checkpoint), indent=2)
    content = write(game, facts)
    write_whole(path, lambda file: file.write(content))
    if path.suffix == ".safetensors":
        write_whole(path.with_name(MODEL), lambda file: file.write(facts.encode()))
    print(f"generator of {ckpt_path} in {out}; {hint}", file=sys.stderr)


def facts_of(game: Any, ckpt_path: str, checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return what must be known to use a generator: sizes, value range, latents, classes, card, and how it is rebuilt.

    Of texts `samples` has the vocabulary, of music its notation, of sound the rate.
    """
    meaning = {key: said(checkpoint, key) for key in ("vocabulary", "notation", "rate")}
    return {
        "made_by": f"gan_lightning {gan_lightning.__version__}",
        "family": type(game).__name__,
        "updates_done": game.updates_done,
        "latent_dim": game.latent_dim,
        "latent_distribution": describe(game.latent_distribution),
        "shape": describe(game.shape),
        "value_range": [-1, 1] if isinstance(game.shape, Images) else None,
        "n_classes": game.n_classes,
        "classes": game.classes if game.n_classes else [],
        "samples": {key: value for key, value in meaning.items() if value is not None},
        "card": _card(Path(ckpt_path), game.updates_done),
        "hyper_parameters": without_home(describe_module(game)),
    }


def share(ckpt_path: str, out: str, trust: bool = False) -> None:
    """Write a folder that others can load: weights, `model.json`, the config, a picture, and a model card as README.md.

    Raises:
        UserError: As `write_program`, or the folder is in use.
        RunFailed: The disk is full.
    """
    checkpoint = read_checkpoint(ckpt_path, hold=True)
    game = _sampling(ckpt_path, trust)
    facts = facts_of(game, ckpt_path, checkpoint)
    folder = output_folder(out, WEIGHTS, MODEL, "README.md", "config.yaml", "samples.png")
    config = without_home(checkpoint.get("config"))
    picture = io.BytesIO()
    drawn(game.sample(64), game.shape, game.n_classes if 1 < game.n_classes <= 16 else None).save(picture, "PNG")
    files = {
        WEIGHTS: _weights(game, json.dumps(facts)),
        MODEL: json.dumps(facts, indent=2).encode(),
        "samples.png": picture.getvalue(),
        "README.md": _model_card(facts, config).encode(),
    }
    if config:
        files["config.yaml"] = as_yaml(config).encode()
    for name, content in files.items():
        write_whole(folder / name, lambda file, content=content: file.write(content))  # type: ignore[misc]
    print(f"{', '.join(files)} in {folder}; gan_lightning.load({str(folder)!r}) reads it back", file=sys.stderr)


def _sampling(ckpt_path: str, trust: bool) -> Any:
    game = load_finite_game(ckpt_path, trust)
    if not isinstance(game, SamplingGame):
        raise UserError(f"{type(game).__name__} has no generator from latents to export")
    return game


def _card(checkpoint: Path, update: int) -> dict[str, Any] | None:
    """Return the newest card of a checkpoint's update in its run folder, None if it was not measured.

    One of all samples goes before one of truncated latents, and one that compares with held-out samples before others.
    """
    found: list[dict[str, Any]] = []
    for path in sorted(
        (checkpoint.resolve().parent.parent / "evaluation").glob("*.json"), key=lambda p: p.stat().st_mtime
    ):
        try:
            card = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(card, dict) and card.get("update") == update:
            found.append(card)
    # the last of those that are equal so far: sorting is stable
    found.sort(key=lambda card: (card.get("truncation") is None, card.get("real_split") != "train"))
    return found[-1] if found else None


def _inputs(game: Any) -> tuple[Any, ...]:
    latents = game.sample_latents(2, torch.Generator().manual_seed(0))
    return (latents, torch.arange(2) % game.n_classes) if game.n_classes else (latents,)


def _batches(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    batch = torch.export.Dim("batch", min=1)
    return tuple({0: batch} for _ in inputs)


def _weights(game: Any, facts: str) -> bytes:
    whole = io.BytesIO()
    write_tensors(whole, game.generator_average.state_dict(), {"format": "pt", MODEL: facts})
    return whole.getvalue()


def _program(game: Any, facts: str) -> bytes:
    inputs = _inputs(game)
    program = torch.export.export(game.generator_average, inputs, dynamic_shapes=_batches(inputs))
    whole = io.BytesIO()  # torch's own writer ends the process where the disk is full
    torch.export.save(program, whole, extra_files={MODEL: facts})
    return whole.getvalue()


def _script(game: Any, facts: str) -> bytes:
    inputs, network = _inputs(game), game.generator_average
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing is deprecated, and warns of what the comparison below tests
        traced = torch.jit.trace(network, inputs, check_trace=False)
        more = tuple(torch.cat([part, part[:1]]) for part in inputs)
        try:
            found = traced(*more)
        except RuntimeError as error:
            raise UserError(
                f"{type(network).__name__} cannot be traced for any batch size ({in_one_line(error)[:80]}); take .pt2"
            ) from error
        _compare(found, network(*more), "TorchScript")
        whole = io.BytesIO()
        torch.jit.save(traced, whole, _extra_files={MODEL: facts})
    return whole.getvalue()


def _onnx(game: Any, facts: str) -> bytes:
    inputs = _inputs(game)
    names = ["latents", "labels"][: len(inputs)]
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  torch's exporter needs it
    except ImportError as error:
        raise UserError(
            f".onnx needs the package {error.name}: pip install 'gan-lightning[onnx]'; .pt2 needs torch alone"
        ) from error
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # what torch's exporter does among its own parts
        program = torch.onnx.export(
            game.generator_average,
            inputs,
            input_names=names,
            output_names=["samples"],
            dynamic_shapes=_batches(inputs),
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        program.model.metadata_props[MODEL] = facts
        path = Path(folder) / "generator.onnx"
        program.save(path, external_data=False)
        content = path.read_bytes()
    more = tuple(torch.cat([part, part[:1]]) for part in inputs)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {name: part.numpy() for name, part in zip(names, more, strict=True)})
    with torch.no_grad():
        _compare(torch.from_numpy(found), game.generator_average(*more), "onnxruntime")
    return content


def _compare(found: torch.Tensor, expected: torch.Tensor, what: str) -> None:
    """Refuse an exported generator that makes other samples, on a batch of another size than it was exported with."""
    gap = (found - expected).abs().max().item() if found.shape == expected.shape else float("inf")
    if not gap <= LARGEST_DIFFERENCE:
        raise UserError(f"the generator in {what} differs by {gap:g}, more than {LARGEST_DIFFERENCE}; take .pt2")


def _model_card(facts: dict[str, Any], config: Any) -> str:
    data = (config or {}).get("data") or {}
    trained = (
        (data.get("init_args") or {}).get("dataset")
        or str(data.get("class_path", "")).rpartition(".")[2]
        or "not known"
    )
    card = facts["card"] or {}
    measured = [
        f"| `{name}` | {card[name]:g} |" for name in card.get("metrics", []) if isinstance(card.get(name), int | float)
    ]
    words = f"{facts['shape']['class_path'].rpartition('.')[2]} {facts['shape']['init_args']}"
    said = [
        f"on {card['n_generated']} samples" if card.get("n_generated") else "",
        f"of latents within {card['truncation']:g}" if card.get("truncation") else "",
        f"against {card['real']}" if card.get("real") else "",
        f"({card['real_split']} split)" if card.get("real_split") else "",
        f"with the features of `{card['extractor']}`" if card.get("extractor") else "",
    ]
    how = (
        f"Measured {' '.join(filter(None, said))}; others do not compare."
        if any(said)
        else "Measured, as its card says:"
    )
    lines = [
        "---",
        "library_name: gan-lightning",
        "tags: [gan, pytorch, gan-lightning]",
        "---",
        "",
        f"# {facts['family']} on {trained}",
        "",
        "![samples of the averaged generator](samples.png)",
        "",
        "```python",
        "import gan_lightning as gl",
        "",
        'game = gl.load("THIS_FOLDER")',
        f"samples = game.sample(16)  # of {words}",
        "```",
        "",
        f"- {facts['updates_done']:,} generator updates, {facts['made_by']}; the whole config is in `config.yaml`",
        f"- latents: {facts['latent_dim']} coordinates, {facts['latent_distribution']['class_path'].rpartition('.')[2]}",
        f"- values: {facts['value_range'] or 'as the data'}",
        *(f"- {key}: {json.dumps(value, ensure_ascii=False)}" for key, value in facts["samples"].items()),
        f"- classes: {', '.join(facts['classes']) or facts['n_classes'] or 'none'}",
        "",
        *([how, "", "| measured | |", "|---|---|", *measured] if measured else ["This checkpoint was not measured."]),
        "",
    ]
    return "\n".join(lines)


FORMS: dict[str, tuple[Callable[[Any, str], bytes], str]] = {
    ".pt2": (_program, "load it with torch.export.load(path).module()"),
    ".onnx": (_onnx, "onnxruntime runs it; its inputs are latents, and labels if there are classes"),
    ".safetensors": (_weights, f"gan_lightning.load(path) loads it; {MODEL} lies beside it"),
    ".torchscript": (_script, "load it with torch.jit.load(path)"),
}
"""Suffix of a file: what makes its content, and how it is loaded."""
