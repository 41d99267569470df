"""The documentation's site: its equations are what the docstrings say, and it builds without a warning."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def docs_site():
    pytest.importorskip("mkdocs", reason="extra docs")
    pytest.importorskip("latex2mathml", reason="extra docs")
    pytest.importorskip("griffe", reason="extra docs")
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import docs_site

        return docs_site
    finally:
        sys.path.pop(0)


@pytest.mark.parametrize(
    ("equation", "tex"),
    [
        ("L_G = -E log D(G(z))", r"L_{G} = -\mathbb{E}\, \log D(G(z))"),
        ("lambda E (|grad f(xh)| - 1)^2", r"\lambda \mathbb{E}\, (\lVert \nabla f(\hat{x})\rVert - 1)^{2}"),
        ("1/2 E (f(x) - b)^2", r"\frac{1}{2} \mathbb{E}\, (f(x) - b)^{2}"),
        ("E sp(-o(x, E(x)))", r"\mathbb{E}\, \operatorname{sp}(-o(x, E(x)))"),
        ("E f*(g_f(V(x)))", r"\mathbb{E}\, f^{*}(g_{f}(V(x)))"),
        ("<e(y), h(x)>", r"\langle e(y), h(x)\rangle "),
    ],
)
def test_an_equation_in_tex(docs_site, equation, tex):
    assert docs_site.tex_of(equation) == tex


def test_every_family_shows_both_losses_and_a_command(docs_site):
    for name in docs_site.family_names():
        page = docs_site.family_page(name)
        assert page.count("<math") >= 2, name
        assert "gan-lightning fit --config" in page and f"::: gan_lightning.families.{name}" in page, name
        assert not re.search(r"L_[DG] =", page), f"{name}: an equation that was not rendered"


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_needs_no_network(docs_site, tmp_path):
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    loads = r"<(?:script|img|iframe)[^>]*\ssrc=\"?([^\s\">]+)|<link[^>]*rel=\"?stylesheet\"?[^>]*href=\"?([^\s\">]+)"
    for path in (tmp_path / "site").rglob("*.html"):
        loaded = ["".join(found) for found in re.findall(loads, path.read_text(encoding="utf-8"))]
        assert not [address for address in loaded if address.startswith(("http", "//"))], path
