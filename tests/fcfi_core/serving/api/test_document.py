"""The OpenAPI document, and that the server does what it says: asked by schemathesis.

``API_EXAMPLES`` says how many requests are made up for each operation, right ones and wrong ones each.
"""

from __future__ import annotations

import io
import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from fcfi_core.serving.api.document import openapi

load_all_checks()

EXAMPLES = int(os.environ.get("API_EXAMPLES", "12"))

NOT_TOLD_BY_A_SCHEMA = ("positive_data_acceptance",)
"""Most files that fit the document are no pictures, and most ids name none."""


@pytest.fixture(scope="module")
def schema(serve, disc):
    address, service = serve()
    file = io.BytesIO()
    disc[0].save(file, "PNG")
    service.load(file.getvalue())
    return schemathesis.openapi.from_url(f"{address}/api/v1/openapi.json")


OPERATIONS = [
    pytest.param(path, method, mode, id=f"{method} {path} {mode.value}")
    for path, methods in openapi()["paths"].items()
    for method in methods
    for mode in GenerationMode
    if method != "get" or mode == GenerationMode.POSITIVE  # nothing is sent that could be wrong
]


@pytest.mark.parametrize(("path", "method", "mode"), OPERATIONS)
def test_the_server_does_what_the_document_says(schema, path, method, mode):
    @settings(
        max_examples=EXAMPLES,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
        database=None,
    )
    @given(schema[path][method.upper()].as_strategy(generation_mode=mode))
    def ask(case):
        excluded = [CHECKS.get_one(name) for name in NOT_TOLD_BY_A_SCHEMA]
        case.call_and_validate(excluded_checks=excluded)

    ask()
