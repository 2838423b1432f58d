"""daemon.json: keys and their order stay."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragonfly.errors import ConfigError
from dragonfly.setup.dockerjson import NO_PROXY, mirrored, other_proxies, proxied, released

MIRROR = "http://127.0.0.1:65001"

texts = st.text(max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
urls = st.sampled_from(["https://a.test", "http://b.test:5000"])
files = st.builds(
    lambda others, mirrors, proxies: {**others, **mirrors, **proxies},
    st.dictionaries(texts, values, max_size=4),
    st.just({}) | st.builds(lambda m: {"registry-mirrors": m}, st.lists(urls, max_size=2)),
    st.just({})
    | st.builds(
        lambda p: {"proxies": p},
        st.dictionaries(st.sampled_from(["http-proxy", "https-proxy", "no-proxy"]), urls),
    ),
)


def test_a_new_file() -> None:
    """Nothing but the mirror."""
    assert json.loads(mirrored(None, MIRROR)) == {"registry-mirrors": [MIRROR]}
    assert json.loads(mirrored("", MIRROR)) == {"registry-mirrors": [MIRROR]}


def test_other_keys_their_order_and_the_indentation_stay() -> None:
    """And other mirrors, behind ours."""
    text = '{\n\t"log-driver": "ä",\n\t"registry-mirrors": ["https://m"],\n\t"debug": true\n}\n'
    made = mirrored(text, MIRROR)
    assert made == (
        '{\n\t"log-driver": "ä",\n\t"registry-mirrors": [\n\t\t"http://127.0.0.1:65001",'
        '\n\t\t"https://m"\n\t],\n\t"debug": true\n}\n'
    )
    assert mirrored(made, MIRROR) == made


def test_a_mirror_that_is_there_stays_where_it_is() -> None:
    """Docker takes it with and without the slash."""
    text = f'{{"registry-mirrors": ["https://m", "{MIRROR}/"]}}'
    assert mirrored(text, MIRROR) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n  "a": 1,\n}', r":[23]: not JSON"),  # Python 3.13 points at the comma
        ('{\n  // mirrors\n  "a": 1}', r":2: not JSON.*no comments"),
        ('{"a": 1, "a": 2}', "'a' is given twice"),
        ("[]", "JSON object"),
        ('{"registry-mirrors": "x"}', "registry-mirrors must be a list"),
    ],
)
def test_what_docker_would_not_take_is_refused(text: str, said: str) -> None:
    """With file and line."""
    with pytest.raises(ConfigError, match=rf"^/d.json.*{said}"):
        mirrored(text, MIRROR, "/d.json")


def test_as_a_proxy() -> None:
    """For both schemes; the list of exceptions is the user's if there is one."""
    proxies = json.loads(proxied(None, MIRROR))["proxies"]
    assert proxies == {"http-proxy": MIRROR, "https-proxy": MIRROR, "no-proxy": NO_PROXY}
    text = '{"proxies": {"no-proxy": "a.test", "http-proxy": "http://p"}}'
    made = proxied(text, MIRROR)
    assert json.loads(made)["proxies"]["no-proxy"] == "a.test"
    assert other_proxies(text, [MIRROR]) == ["http-proxy"]
    assert proxied(made, MIRROR) == made
    assert json.loads(released(made, text, MIRROR) or "") == json.loads(text)


@given(files)
def test_the_way_back_by_itself(before: dict[str, object]) -> None:
    """Without the copy, as after edits of the user: the same values, whatever they were."""
    text = json.dumps(before)
    for set_up in (mirrored, proxied):
        made = set_up(text, MIRROR)
        assert json.loads(released(made, text, MIRROR) or "") == before
        assert set_up(made, MIRROR) == made


def test_the_way_back_keeps_what_came_since() -> None:
    """Only our entry is taken out."""
    text = '{\n    "debug": true\n}\n'
    now = json.loads(mirrored(text, MIRROR))
    now["registry-mirrors"].append("https://new")
    now["debug"] = False
    back = released(json.dumps(now), text, MIRROR)
    assert json.loads(back or "") == {"debug": False, "registry-mirrors": ["https://new"]}


def test_what_was_made_goes_when_nothing_is_left() -> None:
    """And stays otherwise."""
    assert released(mirrored(None, MIRROR), None, MIRROR) is None
    assert released(mirrored('{"a": 1}', MIRROR), None, MIRROR) is not None


def test_a_mirror_that_was_there_before_stays() -> None:
    """It was the user's."""
    text = json.dumps({"registry-mirrors": [MIRROR]})
    assert released(mirrored(text, MIRROR), text, MIRROR) == text
