"""Settings of a function, read from the environment on first use and never at import."""

import os
from typing import Self

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """The settings of a function; the field `portfolios_table` is read from the variable `PORTFOLIOS_TABLE`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def load(cls) -> Self:
        """Return the settings in the environment; raises `ValidationError` if a variable is missing or malformed."""
        names = {name: name.upper() for name in cls.model_fields}
        return cls.model_validate({name: os.environ[key] for name, key in names.items() if key in os.environ})
