#!/usr/bin/env python
"""Save a report of a Weights & Biases project with the panels worth opening.

    pip install wandb-workspaces
    python scripts/wandb_report.py --project gan-lightning [--entity TEAM] [--group NAME]

Needs a login (`wandb login`). Built with wandb-workspaces 0.4.13 and wandb 0.31 against a stand-in for the service;
saving to the real one was out of reach here.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

X = "trainer/global_step"
SECTIONS = {
    "Quality": [
        ("FID (lower is better)", ["val/fid", "val/fid_digits"]),
        ("Inception score", ["val/isc_mean", "val/isc_mean_digits"]),
        ("Precision and recall", ["val/precision_inception", "val/recall_inception"]),
    ],
    "Losses": [("Critic", ["loss/critic"]), ("Generator", ["loss/generator"])],
    "Progress": [
        ("Real images shown to the critic, thousands", ["progress/kimg"]),
        ("Images per second", ["perf/images_per_second"]),
    ],
}


def report(project: str, entity: str | None, group: str | None) -> Any:
    """Return the report, not saved yet."""
    import wandb_workspaces.reports.v2 as wr

    filters = f"Group == '{group}'" if group else ""
    runs = [wr.Runset(project=project, entity=entity or "", filters=filters)]
    blocks: list[Any] = []
    for heading, plots in SECTIONS.items():
        panels: list[Any] = [wr.LinePlot(title=title, x=X, y=keys) for title, keys in plots]
        blocks += [wr.H1(heading), wr.PanelGrid(panels=panels, runsets=runs)]
    blocks += [wr.H1("Samples"), wr.PanelGrid(panels=[wr.MediaBrowser(media_keys=["samples"])], runsets=runs)]
    return wr.Report(
        project=project,
        entity=entity or "",
        title="GAN training",
        description="Every x-axis is in generator updates. FID is comparable only between runs of one extractor.",
        blocks=blocks,
    )


def main() -> None:
    """Save the report and print where it is."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--project", required=True)
    parser.add_argument("--entity", help="user or team; the login's default if not given")
    parser.add_argument("--group", help="only the runs of this group")
    options = parser.parse_args()
    try:
        made = report(options.project, options.entity, options.group)
    except ImportError:
        sys.exit("wandb_report: pip install wandb-workspaces")
    made.save()
    print(made.url)


if __name__ == "__main__":
    main()
