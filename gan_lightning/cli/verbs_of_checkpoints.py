"""The verbs that write what a checkpoint makes: their options, and what plays them."""

from __future__ import annotations

import os

from gan_lightning.cli.arguments import (
    VerbParser,
    above_0,
    bounds,
    count,
    count_or_0,
    labels,
    share_of_1,
    steps,
    value_range,
)


def sample(args: list[str]) -> None:
    """Write samples of a checkpoint: `000000.png`, `000001.png`, ..., vectors as `samples.csv`."""
    parser = VerbParser("sample")
    parser.takes_checkpoint()
    parser.add_argument("--n", type=count, help="number of samples; 64, or none where one of the pictures is asked for")
    parser.add_argument("--out", type=os.path.expanduser, required=True, help="folder to write to")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same samples")
    parser.add_argument(
        "--labels", type=labels, help="classes, such as cat,dog or 0,1,2, repeated in turn; all if left out"
    )
    parser.add_argument("--truncation", type=float, help="draw latents outside [-T, T] anew; needs T > 0")
    parser.add_argument("--grid", action="store_true", help="write grid.png too")
    parser.add_argument("--interpolate", type=steps, metavar="STEPS", help="interpolation.png: from latents to latents")
    parser.add_argument("--truncations", type=bounds, help="truncation.png: one row for each, such as 0.3,0.6,1")
    parser.add_argument(
        "--neighbours", "--neighbors", action="store_true", help="neighbours.png: beside the nearest training images"
    )
    parser.add_argument("--film", action="store_true", help="film.gif: the sample grids of the run")
    parser.takes_device()
    options = parser.read(args)

    from gan_lightning.cli.mistakes import verb_errors
    from gan_lightning.cli.sample import sampling_game, write_samples
    from gan_lightning.cli.sample_pictures import write_pictures

    has_pictures = bool(options.interpolate or options.truncations or options.neighbours or options.film)
    has_samples = bool(options.n or options.grid or not has_pictures)
    draws_some = has_samples or options.interpolate or options.neighbours
    if options.truncation is not None and not draws_some:
        parser.error("argument --truncation: nothing is drawn with it; give --n, --interpolate or --neighbours too")
    if options.labels is not None and not (draws_some or options.truncations):
        parser.error("argument --labels: nothing is drawn of them; a film shows the run's own grids")
    with verb_errors():
        if has_pictures:
            game, classes = sampling_game(options.ckpt_path, options.labels, options.device, options.trust)
            write_pictures(
                game,
                options.ckpt_path,
                options.out,
                options.seed,
                classes,
                options.interpolate,
                options.truncations or (),
                options.neighbours,
                options.film,
                options.truncation,
                options.trust,
            )
        if has_samples:
            write_samples(
                options.ckpt_path,
                options.n or 64,
                options.out,
                options.seed,
                options.labels,
                options.grid,
                options.device,
                options.truncation,
                options.trust,
            )


def augment(args: list[str]) -> None:
    """Write a labelled folder of samples."""
    parser = VerbParser("augment")
    parser.takes_checkpoint("the checkpoint of a conditional generator")
    parser.add_argument("--per_class", type=count, required=True, help="samples of each class")
    parser.add_argument("--out", type=os.path.expanduser, required=True, help="folder to write to, which must be empty")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same samples")
    parser.add_argument("--labels", type=labels, help="classes, such as cat,dog or 0,1,2; all if left out")
    parser.add_argument("--truncation", type=float, help="draw latents outside [-T, T] anew; needs T > 0")
    parser.add_argument(
        "--keep_confident",
        type=share_of_1,
        help="keep only images of whose class a classifier is so sure, such as 0.9; it is trained on the training data",
    )
    parser.takes_device()
    options = parser.read(args)

    from gan_lightning.cli.augment import write_labelled
    from gan_lightning.cli.mistakes import verb_errors

    with verb_errors():
        write_labelled(
            options.ckpt_path,
            options.per_class,
            options.out,
            options.seed,
            options.labels,
            options.truncation,
            options.keep_confident,
            options.device,
            options.trust,
        )


def reconstruct(args: list[str]) -> None:
    """Write held-out samples beside their reconstructions, and print the errors."""
    parser = VerbParser("reconstruct")
    parser.takes_checkpoint("the checkpoint, of ALI or BiGAN; its own data are used")
    parser.add_argument("--out", type=os.path.expanduser, required=True, help="folder to write to")
    parser.add_argument("--n", type=count, default=32, help="number of samples in the picture; the errors are over all")
    parser.add_argument("--seed", type=int, default=0, help="of what ALI's encoder draws")
    options = parser.read(args)

    from gan_lightning.cli.mistakes import verb_errors
    from gan_lightning.evaluation.reconstruction import write_reconstructions

    with verb_errors():
        write_reconstructions(options.ckpt_path, options.out, options.n, options.seed, options.trust)


def _picture_parser(verb: str) -> VerbParser:
    """Return the parser of a verb that makes pictures of pictures."""
    parser = VerbParser(verb)
    parser.add_argument(
        "source", metavar="IN", type=os.path.expanduser, help="a picture, or a folder or zip of pictures"
    )
    parser.add_argument("--out", type=os.path.expanduser, required=True, help="folder to write to, new or empty")
    parser.add_argument(
        "--value_range", type=value_range, help="values that are black and white in deep pixels: 0,4095"
    )
    parser.takes_device()
    return parser


def translate(args: list[str]) -> None:
    """Write what a checkpoint makes of pictures."""
    parser = _picture_parser("translate")
    parser.takes_checkpoint("the checkpoint")
    parser.add_argument(
        "--direction", choices=["AtoB", "BtoA"], default="AtoB", help="from sources to targets, or back"
    )
    parser.add_argument("--seed", type=int, default=0, help="of what is random about a translation")
    parser.add_argument(
        "--degrade",
        action="store_true",
        help="the pictures are whole: take away first what the training data took away",
    )
    options = parser.read(args)

    from gan_lightning.cli.mistakes import verb_errors
    from gan_lightning.cli.translate import write_translations

    with verb_errors():
        write_translations(
            options.source,
            options.ckpt_path,
            options.out,
            options.direction,
            options.seed,
            options.value_range,
            options.device,
            options.degrade,
            options.trust,
        )


def stylize(args: list[str]) -> None:
    """Write pictures in another one's style."""
    parser = _picture_parser("stylize")
    parser.add_argument(
        "--style", type=os.path.expanduser, help="the style's picture; with --ckpt_path the name of one of its styles"
    )
    parser.add_argument(
        "--ckpt_path", type=os.path.expanduser, help="a checkpoint of StyleTransfer: one pass, any size"
    )
    parser.add_argument(
        "--strength", type=above_0, default=1.0, help="of the style: any number above 0; with --ckpt_path at most 1"
    )
    parser.add_argument("--steps", type=count, help="how often a picture is changed; 300 if left out")
    parser.add_argument(
        "--size",
        type=count,
        help="pixels of the longer side at which it is changed; 512 if left out; the result is whole",
    )
    parser.add_argument(
        "--network",
        choices=["efficientnet_lite0", "vgg16", "vgg19", "random_filters"],
        help="whose activations are compared; efficientnet_lite0 if left out",
    )
    parser.add_argument("--weights", type=os.path.expanduser, help="file of the network's weights")
    parser.add_argument(
        "--critic_weight", type=above_0, help="add a critic that learns to tell the style's patches, with this weight"
    )
    parser.add_argument("--seed", type=int, help="of the critic and of random_filters; 0 if left out")
    options = parser.read(args)

    from gan_lightning.cli.mistakes import verb_errors
    from gan_lightning.cli.stylize import Options
    from gan_lightning.cli.stylize import stylize as write

    with verb_errors():
        write(Options(**vars(options)))


def upscale(args: list[str]) -> None:
    """Write pictures 2 or 4 times as large."""
    parser = _picture_parser("upscale")
    parser.takes_checkpoint("the checkpoint, of SRGAN")
    parser.add_argument(
        "--tile", type=count, default=256, help="side of the pieces, in small pixels, that are computed at once"
    )
    parser.add_argument(
        "--overlap", type=count_or_0, help="small pixels around a piece that are computed with it; enough if left out"
    )
    options = parser.read(args)

    from gan_lightning.cli.mistakes import verb_errors
    from gan_lightning.cli.upscale import write_upscaled

    with verb_errors():
        write_upscaled(
            options.source,
            options.ckpt_path,
            options.out,
            options.tile,
            options.overlap,
            options.value_range,
            options.device,
            options.trust,
        )


def recommend(args: list[str]) -> None:
    """Write the best items of users, without those that they have."""
    parser = VerbParser("recommend")
    parser.takes_checkpoint()
    parser.add_argument("--users", required=True, help="users as the data name them, such as 1,2,3, or all")
    parser.add_argument("--k", type=count, default=10, help="items of each user")
    parser.add_argument("--out", type=os.path.expanduser, required=True, help="file to write: user,rank,item,score")
    options = parser.read(args)

    from gan_lightning.cli.mistakes import verb_errors
    from gan_lightning.cli.recommend import write_recommendations

    with verb_errors():
        write_recommendations(options.ckpt_path, options.users, options.k, options.out, options.trust)


def export(args: list[str]) -> None:
    """Write the averaged generator of a checkpoint to a file."""
    parser = VerbParser("export")
    parser.takes_checkpoint()
    parser.add_argument(
        "--out",
        type=os.path.expanduser,
        required=True,
        help="file to write; its suffix says the form, such as generator.pt2",
    )
    options = parser.read(args)

    from gan_lightning.cli.export import write_program
    from gan_lightning.cli.mistakes import verb_errors

    with verb_errors():
        write_program(options.ckpt_path, options.out, options.trust)


def share(args: list[str]) -> None:
    """Write a folder of a checkpoint that others can load."""
    parser = VerbParser("share")
    parser.add_argument("ckpt_path", type=os.path.expanduser, metavar="CKPT", help="the checkpoint")
    parser.add_argument("--out", type=os.path.expanduser, required=True, help="folder to write to")
    options = parser.read(args)

    from gan_lightning.cli.export import share as write
    from gan_lightning.cli.mistakes import verb_errors

    with verb_errors():
        write(options.ckpt_path, options.out, options.trust)
