"""What `--help` says: of all verbs a line, of those that Lightning's command line plays a page, because its own takes seconds."""

from __future__ import annotations

VERBS = {
    "fit": "train a GAN",
    "validate": "measure a checkpoint on the held-out data",
    "test": "measure a checkpoint on the test data",
    "evaluate": "compare two sets of samples: folders, zips, checkpoints, data, statistics",
    "compare": "compare runs and cards: a table, and a page with curves and pictures",
    "report": "write the page of one run, report.html, which fit writes at its end",
    "sample": "write samples of a checkpoint as pictures",
    "augment": "write a labelled folder of a conditional checkpoint's samples, as training data",
    "reconstruct": "write held-out samples and what a checkpoint with an encoder makes of them",
    "translate": "write what a checkpoint of Pix2Pix or CycleGAN makes of pictures",
    "stylize": "write pictures in the style of another one",
    "upscale": "write pictures 2 or 4 times as large, by a checkpoint of SRGAN",
    "recommend": "write the items that a checkpoint of IRGAN scores highest for users",
    "lab": "play small worlds with known answers: tables and pictures of what theory says",
    "configs": "list the configs that ship; show NAME prints one, copy NAME FILE writes it to a file",
    "doctor": "tell versions, devices, precisions, caches and what is missing for FID, to paste into an issue",
    "cache": "tell what prepared data are kept on this machine, and clear them",
    "export": "write the generator of a checkpoint to a file: .pt2, .onnx, .safetensors or .torchscript",
    "share": "write a folder of a checkpoint that others can load: weights, card, picture, config",
}

TRUST = "import whatever classes the checkpoint names, not only this package's, torch's and torchvision's"
FIT = """usage: gan-lightning fit --config FILE_OR_NAME [--config ...] [options]

examples:
  gan-lightning fit --config quickstart                                digits, on two CPU cores, in minutes
  gan-lightning fit --data ImageFolder --data.root FOLDER              your own pictures; it says which config it takes
  gan-lightning fit --config sngan/cifar10 --data.download true        a config that ships; gan-lightning configs lists them
  gan-lightning fit --config wgan_gp/ring --trainer.max_steps 2000 --model.gp_weight 5 --name gp5
  gan-lightning fit --resume runs/gp5                                  resume a run folder

train a GAN; later files and options override earlier ones:
  --config FILE_OR_NAME      a YAML file, or the name of a config that ships, such as sngan/digits
  --data CLASS               the data; --data.<option> VALUE sets its arguments (data.root, data.image_size, data.batch_size, ...)
  --model CLASS              the family; --model.<option> VALUE sets its arguments (model.n_critic, model.gp_weight, ...)
  --trainer.max_steps N      generator updates in all; --trainer.<option> VALUE: Lightning's Trainer (devices, precision, ...)
  --trainer.accelerator X    cpu or gpu; the best there is if left out
  --name NAME                the run folder is runs/NAME (NAME-2, ... if it exists)
  --resume auto|PATH         resume from the furthest checkpoint of runs/NAME, of a run folder, or from a checkpoint;
                             a run folder needs no --config: its own config.yaml is taken
  --seed_everything N        the seed of everything random
  --fidelity.<option> VALUE  FID and IS: extractor, n_samples, metrics, required, enabled
  --samples.<option> VALUE   sample grids: every_n_updates, n_rows, n_columns

  --checkpoints.<option> V   checkpoints: every_n_updates, every_n_minutes, monitor
  --runs_dir DIR             where run folders go
  --ckpt_path FILE           the checkpoint to start from (its whole state); last and best are those of runs/NAME
  --init_from PATH           start from the weights of another run, checkpoint or shared folder: what fits is taken
  --print_config             print the whole configuration and stop
  --help_all                 every option of every part (takes some seconds)
"""

MEASURE = f"""usage: gan-lightning {{verb}} --ckpt_path FILE [--config FILE ...] [options]

examples:
  gan-lightning {{verb}} --ckpt_path runs/quickstart/checkpoints/best.ckpt
  gan-lightning {{verb}} --name quickstart --ckpt_path last --fidelity.n_samples 10000

{{what}}; later files and options override earlier ones:
  --ckpt_path FILE           the checkpoint; its own config is used if no --config is given; last and best are those of runs/NAME
  --config FILE_OR_NAME      a YAML file, or the name of a config that ships, such as sngan/digits
  --fidelity.<option> VALUE  FID and IS: extractor, n_samples, metrics, required, enabled
  --data CLASS               other data; --data.<option> VALUE sets its arguments (data.root, data.batch_size, ...)
  --trainer.<option> VALUE   Lightning's Trainer: devices, precision, ...
  --seed_everything N        the seed of everything random
  --trust                    {TRUST}
  --print_config             print the whole configuration and stop
  --help_all                 every option of every part (takes some seconds)
"""
