"""The standard's documents as they came, and what is mended in them."""

from __future__ import annotations

import hashlib
import re

import pytest
from openapi_spec_validator import validate
from openapi_spec_validator.validation.exceptions import OpenAPIValidationError

from tests.standard import documents
from tests.standard.documents import PATCHES, VERSIONS, Patch, apply, document, published


def test_files_are_the_published_ones() -> None:
    """Both files have the sha256 that SOURCES.md gives, and LICENSE and NOTICE lie beside them."""
    sources = (documents.FOLDER / "SOURCES.md").read_text(encoding="utf-8")
    named = dict(re.findall(r"`(openadr-[\d.]+\.yaml)` \|.*?\| (\w{64}) \|", sources))
    assert set(named) == {f"openadr-{version}.yaml" for version in VERSIONS}
    for name, figure in named.items():
        assert hashlib.sha256((documents.FOLDER / name).read_bytes()).hexdigest() == figure
    assert "Apache License" in (documents.FOLDER / "LICENSE").read_text(encoding="utf-8")
    assert "OpenADR Alliance" in (documents.FOLDER / "NOTICE").read_text(encoding="utf-8")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_patched_document_is_valid(version: str) -> None:
    """With its patches each document is a valid OpenAPI document."""
    validate(document(version))


def test_3_1_0_is_invalid_as_published() -> None:
    """So a patch is needed: a default that is a string where an array or null belongs."""
    with pytest.raises(OpenAPIValidationError, match="null          -"):
        validate(published("3.1.0"))


@pytest.mark.parametrize("version", VERSIONS)
def test_each_patch_holds_and_gives_its_reason(version: str) -> None:
    """A patch changes what it says was there; it is of no use twice."""
    content = published(version)
    for patch in PATCHES[version]:
        assert len(patch.why) > 20
        assert apply(patch, content)
        with pytest.raises(AssertionError, match="not what the patch says"):
            apply(patch, content)


def test_a_stale_patch_is_told() -> None:
    """In another document than a patch was made for nothing is changed in silence."""
    content = {"a": {"b": 1}}
    with pytest.raises(AssertionError, match="a b is not what"):
        apply(Patch("a b", 2, 3, "because"), content)
    assert apply(Patch("* b", 1, 3, "because"), content) == 1
    assert content == {"a": {"b": 3}}


def test_a_document_is_everybodys_own() -> None:
    """Who changes a document changes nobody else's."""
    document("3.0.1")["paths"].clear()
    assert document("3.0.1")["paths"]


def test_scopes_are_declared() -> None:
    """No operation asks for a scope that its document does not declare."""
    for version in VERSIONS:
        content = document(version)
        flows = content["components"]["securitySchemes"]["oAuth2ClientCredentials"]["flows"]
        asked = {
            scope
            for item in content["paths"].values()
            for operation in item.values()
            if isinstance(operation, dict)
            for one in operation.get("security", [])
            for scope in one.get("oAuth2ClientCredentials", [])
        }
        assert asked <= set(flows["clientCredentials"]["scopes"])
