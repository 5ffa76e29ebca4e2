"""What is a secret, and where it is taken out."""

from __future__ import annotations

import pytest

from benchmarks.judge.redaction import Secrets, secrets_in

KEY = "sk-0123456789"


@pytest.mark.parametrize("key", ["ab12", "k-1", "7Bcd9_x", "a1b2c3d"])
def test_a_short_key_is_taken_out_where_it_stands_as_a_whole_word(key: str) -> None:
    secrets = Secrets(secrets_in(key, {"X-Key": key}))
    expected = f"the key {'***' if len(key) >= 4 else key} is wrong"
    assert secrets.out_of_message(f"the key {key} is wrong") == expected
    assert secrets.out_of_reply(f"the key {key} is wrong") == expected
    assert secrets.out_of_body(f"the key {key} is wrong".encode()) == expected.encode()
    assert secrets.out_of_reply(f"of x{key}x") == f"of x{key}x"


@pytest.mark.parametrize("key", ["none", "true", "TEST", "1234", "qwerty"])
def test_a_short_key_that_any_reply_may_state_is_taken_out_of_messages_alone(key: str) -> None:
    secrets = Secrets([key])
    assert secrets.out_of_message(f"Incorrect key: '{key}'") == "Incorrect key: '***'"
    assert secrets.out_of_reply(f'{{"contradiction": {key}}}') == f'{{"contradiction": {key}}}'


@pytest.mark.parametrize("key", ["x", "none", KEY])
def test_the_value_of_a_header_that_shows_the_key_is_taken_out_of_everything(key: str) -> None:
    secrets = Secrets(secrets_in(key, {"Authorization": f"Bearer {key}"}))
    for quoted in (secrets.out_of_message(f"got Bearer {key}"), secrets.out_of_reply(f"got Bearer {key}")):
        assert quoted == "got ***"


def test_a_long_key_is_taken_out_of_the_middle_of_a_word() -> None:
    assert Secrets([KEY]).out_of_reply(f"x{KEY}x") == "x***x"


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("api-key", KEY, KEY),
        ("Authorization", f"Bearer {KEY}", KEY),
        ("Authorization", "Token correcthorse", "correcthorse"),
        ("Cookie", f"theme=dark; session={KEY}", KEY),
        ("X-Auth", "hunter2", "hunter2"),
    ],
)
def test_what_a_header_that_is_named_like_a_credential_holds_is_a_secret(
    name: str, value: str, secret: str
) -> None:
    assert secret not in Secrets(secrets_in("", {name: value})).out_of_message(f"'{secret}' is wrong")


def test_ordinary_words_of_such_a_header_are_none() -> None:
    secrets = Secrets(secrets_in("", {"X-Auth-Note": f"department research, password {KEY}"}))
    said = "the research department has no password here"
    assert secrets.out_of_message(said) == said
    assert KEY not in secrets.out_of_message(f"{KEY}!")


def test_other_headers_hold_no_secrets() -> None:
    assert list(secrets_in("", {"X-Request-Source": "kimera-0123456789"})) == []
