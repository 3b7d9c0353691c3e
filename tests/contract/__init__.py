"""The API as clients see it that are built from the OpenAPI document alone."""
