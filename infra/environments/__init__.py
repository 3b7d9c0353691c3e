"""Environments as files: `NAME.toml` in this directory is the environment of `-c env=NAME`.

A file states what differs from the defaults of `Config`. `extends = "NAME"` takes the keys of another file first.
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from infra.config import Config
from infra.settings import target_named

DIRECTORY = Path(__file__).parent
"""The directory of the environment files."""

_CONFIG = TypeAdapter(Config)
_REFERENCE = "docs/reference/configuration.md"
_REMEDIES = {
    "bool_type": "write true or false",
    "dataclass_type": "write a table",
    "dict_type": "write a table",
    "int_type": "write a whole number without quotes",
    "missing": "add the key",
    "string_type": "write a text in quotes",
    "tuple_type": "write a list in brackets",
    "union_tag_not_found": "add `kind`",
}


class ConfigError(ValueError):
    """Raised for an environment file that does not exist or is not valid; the text names the file and each key."""


def names(directory: Path = DIRECTORY) -> list[str]:
    """Return the names of the environments."""
    return sorted(path.stem for path in directory.glob("*.toml"))


def load(env: str, bundle: str | None = None, endpoint: str | None = None, *, directory: Path = DIRECTORY) -> Config:
    """Return the config of the environment `env`.

    `bundle` (host, container or lambda) overrides the target of the code. `endpoint` is the endpoint of the local cloud
    to deploy to. Raises ConfigError for an unknown environment and for an invalid file, ValueError for an unknown
    target.
    """
    known = names(directory)
    if env not in known:
        raise ConfigError(
            f"unknown environment {env!r}; choose one of {', '.join(known)}, or add {directory}/{env}.toml"
        )
    data = _read(directory, env)
    config = replace(_validated(directory / f"{env}.toml", {"env": env, **data}), local_endpoint=endpoint or "")
    return replace(config, target=target_named(bundle)) if bundle else config


def _read(directory: Path, env: str) -> dict[str, Any]:
    path = directory / f"{env}.toml"
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {error}") from None
    if "env" in data:
        raise ConfigError(f"{path}: env: the name of the file is the name of the environment; remove the key")
    extended = data.pop("extends", None)
    if extended is None:
        return data
    others = [name for name in names(directory) if name != env]
    if extended not in others:
        raise ConfigError(f"{path}: extends: no environment {extended!r}; write one of {', '.join(others)}")
    base = tomllib.loads((directory / f"{extended}.toml").read_text(encoding="utf-8"))
    if "extends" in base:
        raise ConfigError(f"{path}: extends: {extended!r} extends another environment itself; name that one")
    return {**base, **data}


def _validated(path: Path, data: Mapping[str, Any]) -> Config:
    """Return the config with these keys, read as JSON in strict mode: lists stand for tuples, and `1` is no text."""
    try:
        return _CONFIG.validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        problems = [f"{path}: {_problem(data, each)}" for each in error.errors(include_url=False)]
        raise ConfigError("\n".join(problems)) from None


def _problem(data: Mapping[str, Any], error: Mapping[str, Any]) -> str:
    key, kind, found = _key(data, error["loc"]), error["type"], error["input"]
    if kind == "unexpected_keyword_argument":
        near = get_close_matches(str(error["loc"][-1]), [each.name for each in fields(Config)], 1)
        advice = f"did you mean `{near[0]}`?" if near and len(error["loc"]) == 1 else f"see {_REFERENCE}"
        return f"{key}: unknown key; {advice}"
    text = error["msg"].removeprefix("Value error, ")
    got = f", not {found!r}" if isinstance(found, str | int | float) and kind != "missing" else ""
    remedy = _REMEDIES.get(kind)
    return f"{key}: {text}{got}" + (f"; {remedy}" if remedy else "")


def _key(data: Any, location: Sequence[int | str]) -> str:
    """Return the key as in the file (`providers[0].tenants`). A location names the `kind` of a union, too."""
    text = ""
    for position, part in enumerate(location):
        if isinstance(part, int):
            text += f"[{part}]"
            data = data[part]
        elif isinstance(data, Mapping) and part in data:
            text += f".{part}"
            data = data[part]
        elif position == len(location) - 1 and (not isinstance(data, Mapping) or data.get("kind") != part):
            text += f".{part}"
    return text.removeprefix(".") or "the file"
