"""Addresses have one canonical form, and what is not an address is refused in a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.leads.addresses import BadAddress, canonical


@pytest.mark.parametrize(
    ("given_text", "wanted"),
    [
        ("Maria.Keller@Nordhafen.Example", "maria.keller@nordhafen.example"),
        ("  maria@nordhafen.example\t", "maria@nordhafen.example"),
        ("maria+news@nordhafen.example", "maria+news@nordhafen.example"),
        ("ana@BÜCHER.example", "ana@xn--bcher-kva.example"),
        ("ana@xn--bcher-kva.example", "ana@xn--bcher-kva.example"),
        ("Jose\u0301@nordhafen.example", "jos\u00e9@nordhafen.example"),
        ("ma\u202eria@nordhafen.example", "maria@nordhafen.example"),
        ("a@host.test", "a@host.test"),
    ],
)
def test_two_spellings_of_one_address_are_one(given_text: str, wanted: str) -> None:
    assert canonical(given_text) == wanted


@pytest.mark.parametrize(
    "text",
    ["", " ", "maria", "maria@", "@nordhafen.example", "a b@x.example", "a@x", "a@@x.example", "a@x..example",
     "a" * 65 + "@x.example", "a@" + "x" * 250 + ".example", "<script>@x.example", "a@x.example\nBcc: b@y.example",
     "Maria <maria@x.example>", "a@[127.0.0.1]", "a@localhost", '"a b"@x.example', "a@-x.example"],
)  # fmt: skip
def test_what_is_not_an_address_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(BadAddress) as caught:
        canonical(text)
    assert caught.value.sentence.endswith(".")
    assert "\n" not in caught.value.sentence


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_a_sentence(text: str) -> None:
    try:
        once = canonical(text)
    except BadAddress as error:
        assert error.sentence
    else:
        assert canonical(once) == once
