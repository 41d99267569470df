"""Optuna over learning rates, with trials of a bad FID ended early: python optuna_digits.py --trials 20

Needs pip install 'gan-lightning[sweeps]'. The trials are kept in sweep.db: started again, or on several machines that share the
file, the search goes on. What it finds goes to `fit` as --model.critic_optimizer.lr and --model.generator_optimizer.lr.
"""

from __future__ import annotations

import argparse
from functools import partial

import optuna
from lightning.pytorch import Callback

import gan_lightning as gl


class Prune(Callback):
    """Tells Optuna each FID, and ends a trial that is worse than the median of those before it at the same update."""

    def __init__(self, trial: optuna.Trial, fidelity: gl.callbacks.Fidelity) -> None:
        self.trial, self.fidelity = trial, fidelity

    def on_validation_end(self, trainer, game) -> None:
        update, values = self.fidelity.history[-1]
        self.trial.report(values["val/fid_digits"], update)
        if self.trial.should_prune():
            raise optuna.TrialPruned


def objective(trial: optuna.Trial, n_updates: int, n_samples: int) -> float:
    rates = [trial.suggest_float(f"{player}_lr", 1e-4, 1e-2, log=True) for player in ("critic", "generator")]
    data = gl.data.Digits(batch_size=64)
    critic, generator = (gl.Adam(lr=rate, betas=(0.0, 0.9)) for rate in rates)
    game = gl.families.SNGAN(
        partial(gl.networks.SNGANResNetGenerator, width=32, latent_dim=64, n_classes=10),
        partial(gl.networks.SNGANResNetCritic, width=32, n_classes=10),
        shape=data.shape,
        n_critic=1,
        ema_decay=0.995,
        critic_optimizer=critic,
        generator_optimizer=generator,
        seed=trial.number,
    )
    fidelity = gl.callbacks.Fidelity(gl.metrics.Digits(), n_samples=n_samples, metrics=["fid"])
    trainer = gl.Trainer(
        max_steps=n_updates,
        val_check_interval=max(1, n_updates // 5),
        check_val_every_n_epoch=None,
        max_epochs=-1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=f"runs/optuna-{trial.number}",  # the cards
        callbacks=[fidelity, Prune(trial, fidelity)],
    )
    trainer.fit(game, datamodule=data)
    return fidelity.history[-1][1]["val/fid_digits"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--updates", type=int, default=500)
    parser.add_argument("--samples", type=int, default=2000)
    options = parser.parse_args()
    study = optuna.create_study(
        storage="sqlite:///sweep.db",
        study_name="digits",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
    )
    study.optimize(lambda trial: objective(trial, options.updates, options.samples), options.trials)
    print(f"FID {study.best_value:.2f} with {study.best_params}")


if __name__ == "__main__":
    main()
