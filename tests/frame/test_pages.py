"""The Python of the pages runs as it stands, block after block."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(
    str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if "```python" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.filterwarnings("ignore:.*was not set")
def test_the_blocks_of_a_page_run(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    page = ModuleType("a_page")
    monkeypatch.setitem(sys.modules, "a_page", page)  # classes of a page can be found by name, as a module's
    for block in blocks:
        exec(compile(block, name, "exec"), page.__dict__)
