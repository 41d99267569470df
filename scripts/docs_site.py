"""What mkdocs asks when it builds the site: a page for each family, one for each room, and equations as MathML.

A family's page is made from its docstring, its configs, its rows of `docs/families.md` and its picture in
`docs/pictures/`; nothing of it is written by hand. Equations of the docstrings (`L_D = ...`) and formulas between dollar
signs are rendered while the site is built, so that a page needs neither a network nor JavaScript.
"""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import griffe
from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
ROOMS = [
    "families",
    "losses",
    "stabilizers",
    "observations",
    "networks",
    "optimizers",
    "metrics",
    "data",
    "callbacks",
    "loggers",
]
"""Rooms that get a page of the reference: those whose `__all__` says what is public."""
SYMBOLS = {
    **{
        word: rf"\{word}"
        for word in ("lambda", "gamma", "theta", "sigma", "beta", "mu", "Phi", "max", "min", "sum", "in")
    },
    **{word: rf"\operatorname{{{word}}}" for word in ("sp", "mean", "CE", "MMD")},
    **{word: rf"\;\text{{{word}}}\;" for word in ("or", "with", "every", "weight", "of")},
    "grad": r"\nabla ",
    "log": r"\log ",
    "xh": r"\hat{x}",
}
"""What the words of a docstring's equation are in TeX."""


class Examples(griffe.Extension):
    """Lets `Example:`, the heading of the package's doctests, be read as griffe's `Examples:`."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rename the heading in an object's docstring."""
        if obj.docstring:
            obj.docstring.value = re.sub(r"^(\s*)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the generated pages to the navigation."""
    for section in config.nav or []:
        if "Families" in section:
            section["Families"] += [{name: f"family/{name}.md"} for name in family_names()]
        if "Reference" in section:
            section["Reference"] += [{room: f"reference/{room}.md"} for room in ROOMS]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for name in family_names():
        files.append(File.generated(config, f"family/{name}.md", content=family_page(name)))
    for room in ROOMS:
        files.append(File.generated(config, f"reference/{room}.md", content=reference_page(room)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Show what the families make where a page asks for it, and render formulas between dollar signs outside of code."""
    markdown = markdown.replace("<!-- pictures -->", gallery("../" * page.file.src_uri.count("/")))
    parts = re.split(r"(```.*?```|`[^`\n]*`)", markdown, flags=re.DOTALL)
    for i in range(0, len(parts), 2):
        parts[i] = re.sub(r"\$\$(.+?)\$\$", lambda found: mathml(found[1], "block"), parts[i], flags=re.DOTALL)
        parts[i] = re.sub(r"(?<![\\\w])\$([^$\n]+?)\$(?!\w)", lambda found: mathml(found[1], "inline"), parts[i])
    return "".join(parts)


def gallery(up: str) -> str:
    """Return the pictures of digits that the families make, each with a link to the family's page."""
    shown = []
    for name in family_names():
        folder = folder_of(name)
        if (ROOT / "docs" / "pictures" / f"{folder}-digits.png").is_file():
            picture = f"![digits of {name}]({up}pictures/{folder}-digits.png)"
            shown.append(f"<figure markdown>[{picture}]({up}family/{name}.md)<figcaption>{name}</figcaption></figure>")
    return '<div class="gallery" markdown>\n' + "\n".join(shown) + "\n</div>"


def mathml(tex: str, display: str) -> str:
    """Return a formula as MathML."""
    return convert(tex.strip(), display=display)


def family_names() -> list[str]:
    """Return the names of the families, as the package exports them."""
    return sorted(importlib.import_module("gan_lightning.families").__all__, key=str.lower)


def folder_of(family: str) -> str:
    """Return what a family's file, its folder of configs and its pictures are called."""
    return getattr(importlib.import_module("gan_lightning.families"), family).__module__.rsplit(".", 1)[1]


def family_page(name: str) -> str:
    """Return the page of a family."""
    family = getattr(importlib.import_module("gan_lightning.families"), name)
    module = importlib.import_module(family.__module__)
    folder = folder_of(name)
    text = (inspect.getdoc(family) or "").split("\nArgs:")[0].split("\nExample:")[0].strip()
    parts = [
        f"# {name}",
        re.sub(r"(https://[^\s,]+?)(?=[.,]?(?:\s|$))", r"<\1>", " ".join((module.__doc__ or "").split())),
    ]
    parts.append(with_equations(text))
    for data in ("digits", "ring"):
        if (ROOT / "docs" / "pictures" / f"{folder}-{data}.png").is_file():
            parts.append(f"![what {name} makes of {data}](../pictures/{folder}-{data}.png)")
    reference = (
        f"::: gan_lightning.families.{name}\n    options: {{heading_level: 3, show_docstring_description: false}}"
    )
    parts += [measured(name), configs(folder), f"## Reference\n\n{reference}"]
    return "\n\n".join(part for part in parts if part) + "\n"


def with_equations(text: str) -> str:
    """Return a docstring with the losses that it states as displayed formulas, each on its own line."""
    losses = r"(?P<equation>L_[A-Z]+(?:\(theta\))? = .+?)(?P<end>, minimised\.|\.(?=\s|$)|, (?=L_|summed|d |d' )|$)"
    paragraphs = [" ".join(paragraph.split("\n")) for paragraph in text.split("\n\n")]
    shown = [
        re.sub(losses, lambda found: f"\n\n{mathml(tex_of(found['equation']), 'block')}\n\n", paragraph)
        for paragraph in paragraphs
    ]
    return "\n\n".join(shown)


def tex_of(equation: str) -> str:
    """Return an equation in the docstrings' notation as TeX.

    Example:
        >>> tex_of("L_D = E f(G(z)) + lambda E (|grad f(xh)| - 1)^2")
        'L_{D} = \\\\mathbb{E}\\\\, f(G(z)) + \\\\lambda \\\\mathbb{E}\\\\, (|\\\\nabla f(\\\\hat{x})| - 1)^{2}'
    """
    words = re.sub(r"\|([^|]+)\|", r"\\lVert \1\\rVert", equation)
    words = re.sub(r"(?<=f)\*", r"^{*}", words)
    words = re.sub(r"(?<![\w\\])(\w+)/(\d)", r"\\frac{\1}{\2}", words)
    words = re.sub(r"(?<!\w)E ", r"\\mathbb{E}\\, ", words)  # E(x) is an encoder's
    words = re.sub(r"(?<![A-Za-z\\])([A-Za-z]+)(?![A-Za-z])", lambda found: SYMBOLS.get(found[1], found[1]), words)
    words = re.sub(
        r"([_^])(\{[^}]*\}|\\[a-z]+|[A-Z]+|\w)", lambda found: f"{found[1]}{{{found[2].strip('{}')}}}", words
    )
    return re.sub(r" +", " ", words.replace("<", r"\langle ").replace(">", r"\rangle "))


def measured(name: str) -> str:
    """Return what `docs/families.md` measured of a family, a line for each of its tables."""
    lines, section, head = [], "", []
    for line in (ROOT / "docs" / "families.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("## "):
            section, head = line[3:], []
        elif line.startswith("|") and not head:
            head = cells
        elif line.startswith(f"| {name} |"):
            said = [
                f"{title} {cell}"
                for title, cell in zip(head, cells, strict=True)
                if cell and title not in ("family", "paper")
            ]
            lines.append(f"- **{section}**: {', '.join(said)}")
    intro = "Measured on two CPU cores; how, and against what: [the table of all families](../families.md)."
    return "\n".join(["## What it reaches in minutes", "", intro, "", *lines]) if lines else ""


def configs(folder: str) -> str:
    """Return the configs of a family: the command and the comment of each, and the whole of the shortest."""
    paths = sorted((ROOT / "configs" / folder).glob("*.yaml"))
    rows = [f"- `gan-lightning fit --config {folder}/{path.stem}`: {first_sentence(path)}" for path in paths]
    shown = min(paths, key=lambda path: len(path.read_text()), default=None)
    if shown is None:
        return ""
    return (
        "## Configs\n\n"
        + "\n".join(rows)
        + f"\n\n`configs/{folder}/{shown.name}`:\n\n```yaml\n{shown.read_text().rstrip()}\n```"
    )


def first_sentence(config: Path) -> str:
    """Return the first line of a config's header."""
    return config.read_text().splitlines()[0].lstrip("# ").rstrip(".:")


def reference_page(room: str) -> str:
    """Return the page of a room: what it exports, by mkdocstrings."""
    module = importlib.import_module(f"gan_lightning.{room}")
    names = sorted(module.__all__, key=str.lower)
    return f"# {room}\n\n" + "\n\n".join(
        [inspect.getdoc(module) or "", *(f"::: gan_lightning.{room}.{name}" for name in names)]
    )
