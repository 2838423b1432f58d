"""The OpenAPI file says what the code does: routes, methods, and the fields of messages."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import attrs
import pytest
import yaml
from openapi_spec_validator import validate

from dragonfly.control import messages
from dragonfly.supernode.api.v1 import PAGE_MAX
from tests.doubles.api import ApiLab

FILE = Path(__file__).resolve().parents[3] / "doc" / "openapi.yaml"
METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}
MESSAGES = [
    kind
    for _, kind in inspect.getmembers(messages, inspect.isclass)
    if attrs.has(kind) and kind.__module__ == messages.__name__
]


@pytest.fixture(scope="module")
def spec() -> Any:
    """The file, read."""
    return yaml.safe_load(FILE.read_text())


def written(spec: Any) -> set[tuple[str, str]]:
    """Method and path of every operation in the file."""
    return {
        (method.upper(), path)
        for path, item in spec["paths"].items()
        for method in item
        if method in METHODS
    }


def coded(lab: ApiLab) -> set[tuple[str, str]]:
    """Method and path of every route; Werkzeug adds HEAD to each GET by itself."""
    return {
        (method, rule.rule.replace("<", "{").replace(">", "}"))
        for rule in lab.app.url_map.iter_rules()
        for method in rule.methods or ()
    }


def test_valid(spec: Any) -> None:
    """It is OpenAPI."""
    validate(spec)
    assert spec["openapi"].startswith("3.1")


def test_routes(spec: Any, tmp_path: Path) -> None:
    """Every route is in the file, and nothing else is."""
    routes = coded(ApiLab(tmp_path))
    assert {pair for pair in routes if pair[0] != "HEAD"} == {
        pair for pair in written(spec) if pair[0] != "HEAD"
    }
    assert written(spec) <= routes


def test_path_parameters(spec: Any) -> None:
    """Every variable of a path is described."""
    for path, item in spec["paths"].items():
        names = set()
        for parameter in item.get("parameters", ()):
            described = _resolved(spec, parameter)
            if described["in"] == "path":
                names.add(described["name"])
        assert names == {part[1:-1] for part in path.split("/") if part.startswith("{")}


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_messages(spec: Any, kind: type) -> None:
    """Each message has the fields that it has, and those without a default are required."""
    schema = spec["components"]["schemas"][kind.__name__]
    fields = attrs.fields(kind)
    assert set(schema["properties"]) == {field.name for field in fields}
    required = {field.name for field in fields if field.default is attrs.NOTHING}
    required |= {"direct"} if kind is messages.DirectAnswer else set()
    assert set(schema.get("required", ())) == required


def test_base64_and_hexadecimal(spec: Any) -> None:
    """Long binary fields are base64, all others are hexadecimal."""
    for kind in MESSAGES:
        for field in attrs.fields(kind):
            schema = spec["components"]["schemas"][kind.__name__]["properties"][field.name]
            if "bytes" in str(field.type):
                text = str(schema)
                assert ("'format': 'byte'" in text) == (messages.BASE64 in field.metadata)
                assert ("Hex32" in text) != (messages.BASE64 in field.metadata)


def test_shapes_of_v1(spec: Any, tmp_path: Path) -> None:
    """What the reading routes give is in their schemas, field for field."""
    lab = ApiLab(tmp_path, body=b"x")
    lab.cdn.fetch()
    task = lab.json(f"/api/v1/tasks/{(b'T' * 32).hex()}")
    schemas = spec["components"]["schemas"]
    assert set(task) <= set(schemas["TaskInfo"]["properties"])
    assert set(lab.json("/version")) <= set(schemas["Version"]["properties"])
    assert set(lab.json("/")) == set(schemas["Listing"]["properties"])
    size = next(
        parameter
        for parameter in spec["paths"]["/api/v1/peers"]["get"]["parameters"]
        if parameter["name"] == "pageSize"
    )
    assert size["schema"]["maximum"] == PAGE_MAX


def _resolved(spec: Any, item: Any) -> Any:
    for part in item.get("$ref", "#").split("/")[1:]:
        spec = spec[part]
    return spec if "$ref" in item else item
