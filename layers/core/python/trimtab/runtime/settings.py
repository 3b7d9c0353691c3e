"""Settings of a function: one small model, read from the environment on first use and never at import."""

import os
from typing import Self

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A function's settings; the field `portfolios_table` is the variable `PORTFOLIOS_TABLE`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def load(cls) -> Self:
        """The settings in the environment; a missing or malformed one stops the function at its first use."""
        names = {name: name.upper() for name in cls.model_fields}
        return cls.model_validate({name: os.environ[key] for name, key in names.items() if key in os.environ})
