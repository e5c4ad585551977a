"""Write the reference pages that follow from the code: settings, codes, columns, API, command line.

Run by ``make docs`` before the build; the pages land in ``docs/reference/generated``.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import click
import typer.main

import eprimg
from eprimg.cli import EXIT_CODES, app
from eprimg.config import Config
from eprimg.io.write_tables import column_dictionary
from eprimg.quantities import QUANTITIES
from eprimg.resources import load_resource, resource_names
from eprimg.resources.codes import all_codes

TARGET = Path(__file__).parent / "reference" / "generated"
NOTE = "<!-- made by docs/generate.py; do not edit -->\n\n"


def table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    """Write a Markdown table; a bar in a cell is escaped."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        cells = [str(c).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;") for c in row]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def limits_text(rules: Mapping[str, Any]) -> str:
    """Write a range in words."""
    low, high = rules["low"], rules["high"]
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    if low is not None:
        return f"at least {low:g}"
    return "" if high is None else f"at most {high:g}"


def settings_page() -> str:
    text = "# Settings\n\n`eprimg config show` prints them as TOML. Unknown keys are refused.\n"
    config = Config()
    tops = [f for f in fields(config) if not is_dataclass(getattr(config, f.name))]
    sections = [("", config, tops)] + [
        (f.name, getattr(config, f.name), list(fields(getattr(config, f.name))))
        for f in fields(config)
        if is_dataclass(getattr(config, f.name))
    ]
    for name, record, members in sections:
        if name:
            text += f"\n## {name}\n\n{type(record).__doc__.splitlines()[0]}\n"
        rows = []
        for f in members:
            rules = f.metadata
            limits = ", ".join(str(c) for c in rules["choices"]) or limits_text(rules)
            key = f"{name}.{f.name}" if name else f.name
            rows.append((f"`{key}`", f"`{getattr(record, f.name)!r}`", limits, rules["text"]))
        text += "\n" + table(("key", "default", "choices or range", "meaning"), rows)
    return text


def codes_page() -> str:
    text = (
        "# Codes of errors and findings\n\n"
        "`E_` refuses an input (or a part of it), `W_` is a warning, `I_` is information. "
        "`eprimg explain CODE` prints the same words.\n"
    )
    for entry in all_codes().values():
        text += f"\n## {entry.code}\n\n**{entry.title}.** {entry.text}\n\n"
        text += f"*What to do:* {entry.action}.\n"
    return text


def outputs_page() -> str:
    text = "# Output folder\n\n"
    files = load_resource("outputs.toml")["files"].values()
    text += table(("file", "content"), [(f"`{f['path']}`", f["text"]) for f in files])
    version = load_resource("columns.toml")["version"]
    text += f"\n## Columns of lesions.csv (version {version})\n\nEmpty cells were not measured.\n\n"
    text += table(
        ("column", "unit", "meaning"),
        [(f"`{c['name']}`", c["unit"], c["text"]) for c in column_dictionary()],
    )
    return text


def quantities_page() -> str:
    text = "# Quantities, units and codes\n\nCodes of the scheme `99EPRIMG` are local ones.\n\n"
    return text + table(
        ("key", "name", "unit", "UCUM", "code"),
        [
            (
                f"`{q.key}`",
                q.name,
                q.unit.text,
                f"`{q.unit.ucum}`",
                f"{q.code.value} ({q.code.scheme})",
            )
            for q in QUANTITIES.values()
        ],
    )


def schemes_page() -> str:
    text = "# Tier schemes that come with eprimg\n"
    for name in resource_names("tier_schemes"):
        scheme = load_resource(f"tier_schemes/{name}.toml")
        text += f"\n## {scheme['key']}\n\n{scheme['title']}\n\n"
        skip = ("key", "title")
        text += table(("key", "value"), [(k, v) for k, v in scheme.items() if k not in skip])
    return text


def command_line_page() -> str:
    text = "# Command line\n"
    app.rich_markup_mode = None  # plain text: rich would print the help instead of returning it
    root = typer.main.get_command(app)

    def walk(command: click.Command, path: str) -> str:
        # typer carries its own copy of click: what a command is, is told by what it has.
        part = f"\n## {path}\n\n{(command.help or '').strip()}\n\n"
        if hasattr(command, "commands"):
            return part + "".join(walk(c, f"{path} {n}") for n, c in command.commands.items())
        context = command.context_class(command, info_name=path)
        return part + f"```text\n{command.get_help(context)}\n```\n"

    import os

    os.environ["COLUMNS"] = os.environ["TERMINAL_WIDTH"] = "90"
    text += walk(root, "eprimg")
    text += "\n## Exit codes\n\n" + table(("code", "meaning"), list(EXIT_CODES.items()))
    return text


def api_page() -> str:
    text = "# Python API\n\n## eprimg\n\n"
    text += table(
        ("name", "from"),
        [(f"`eprimg.{n}`", f"`{eprimg._HOMES.get(n, 'eprimg')}`") for n in eprimg.__all__],
    )
    rooms = ("kernels", "model", "stages", "io", "engines", "report")
    modules = [
        "eprimg.pipeline",
        "eprimg.config",
        "eprimg.errors",
        "eprimg.quantities",
        "eprimg.registry",
    ]
    for room in rooms:
        folder = Path(eprimg.__file__).parent / room
        modules += [
            f"eprimg.{room}.{m.name}"
            for m in pkgutil.iter_modules([str(folder)])
            if not m.name.startswith("_") and not m.ispkg
        ]
    for module in modules:
        text += f"\n## {module}\n\n```{{eval-rst}}\n.. automodule:: {module}\n   :members:\n```\n"
    return text


PAGES = {
    "settings": settings_page,
    "codes": codes_page,
    "outputs": outputs_page,
    "quantities": quantities_page,
    "schemes": schemes_page,
    "command-line": command_line_page,
    "api": api_page,
}


def main() -> None:
    """Write every page."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (TARGET / f"{name}.md").write_text(NOTE + page(), encoding="utf-8")


if __name__ == "__main__":
    main()
