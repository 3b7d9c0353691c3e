"""Output of the commands: rows as a table or as JSON, and exit codes."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import click

from infra.local.client import ApiResponse, Client

FOUND = 1
"""The exit code of a command that found something wrong; 0 is done, 2 a wrong use of the command."""

MAX_PAGES = 50
PAGE = 100

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def show(rows: Sequence[Mapping[str, Any]], *, as_json: bool, empty: str) -> None:
    """Print the rows as aligned columns named after the members of the first row, or as a JSON list.

    A table leaves out lists and mappings, which JSON includes; `empty` is printed instead of a table without rows.
    """
    if as_json:
        click.echo(json.dumps(list(rows), indent=2, default=str, ensure_ascii=False))
        return
    if not rows:
        click.echo(empty)
        return
    names = [name for name, value in rows[0].items() if not isinstance(value, list | dict)]
    cells = [names, *([_text(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    for line in cells:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def exit_if(found: bool) -> None:
    """End the command with exit code 1 if something wrong was found."""
    if found:
        click.get_current_context().exit(FOUND)


def age(duration: timedelta) -> str:
    """Return a duration in its two largest units: `3 d 4 h`, `2 h 5 min`, `5 min 2 s`, `12 s`."""
    minutes, seconds = divmod(max(0, int(duration.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    largest = next((position for position, (number, _) in enumerate(parts) if number), 3)
    return " ".join(f"{number} {unit}" for number, unit in parts[largest : largest + 2] if number) or "0 s"


def answer(response: ApiResponse) -> Any:
    """Return the JSON body of a successful response, None without a body; an error ends the command with its text."""
    if response.status == 401:
        raise click.ClickException("401: set TRIMTAB_TOKEN to a valid token with the scope `operator`")
    if response.status >= 400:
        try:
            problem = response.json
        except ValueError:
            problem = {}
        parts = [f"{response.status}: {problem.get('detail') or problem.get('title') or response.text[:200]}"]
        parts += [f"  {each.get('field', '')}: {each.get('detail', '')}" for each in problem.get("errors", ())]
        raise click.ClickException("\n".join(parts))
    return response.json if response.text else None


def read_pages(api: Client, path: str) -> list[Any]:
    """Return the items of all pages of a list, at most 5,000."""
    items: list[Any] = []
    cursor = ""
    for _ in range(MAX_PAGES):
        page = answer(api.get(f"{path}{'&' if '?' in path else '?'}limit={PAGE}{cursor}"))
        items += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    return items


def _text(value: Any) -> str:
    return "" if value is None else " ".join(str(value).split())
