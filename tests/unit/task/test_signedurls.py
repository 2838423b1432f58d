"""Which parameters of a URL are a signature."""

from __future__ import annotations

import pytest

from dragonfly.task.signedurls import signing_parameters


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("X-Amz-Signature=1&X-Amz-Date=2&actor_id=3&v=4", "X-Amz-Date X-Amz-Signature actor_id"),
        ("Expires=1&OSSAccessKeyId=2&Signature=3&a=4", "Expires OSSAccessKeyId Signature"),
        ("X-Goog%2DSignature=1&X-Goog-Date=2", "X-Goog-Date X-Goog-Signature"),
        ("sv=2020&sig=x&se=1&sr=b&sp=r&version=7", "se sig sp sr sv"),
        ("Policy=1&Signature=2&Key-Pair-Id=3", "Key-Pair-Id Policy Signature"),
        ("x-oss-signature=1&x-oss-date=2&v=3", "x-oss-date x-oss-signature"),
        ("X-Obs-Signature=1&X-Obs-Date=2", "X-Obs-Date X-Obs-Signature"),
        ("q-signature=1&q-ak=2", "q-ak q-signature"),
        ("AWSAccessKeyId=1&Signature=2&Expires=3", "AWSAccessKeyId Expires Signature"),
    ],
)
def test_signatures(query: str, found: str) -> None:
    """Of storages; other parameters stay."""
    assert list(signing_parameters(f"https://h.example/f?{query}#Signature=9")) == found.split()


@pytest.mark.parametrize("query", ["sv=1", "st=1&sp=2", "Expires=1", "Signature=1", "Policy=2", ""])
def test_the_same_words_without_a_signature(query: str) -> None:
    """They may choose the content."""
    assert signing_parameters(f"https://h.example/f?{query}") == ()
