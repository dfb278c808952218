"""What is taken for a secret, and what is not."""

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.secrets import masked, private_files, secret_place

CANARY = "c4n4ry-7f3a9b2d"
SHAPES = [
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz",
    "glpat-abcdefghij0123456789",
    "sk-proj-abcdefghijklmnop0123456789",
    "hf_abcdefghijklmnopqrstuvwxyz01234567",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA0123456789abcdefghijklmnopqrstuv",
    "xoxb-1234567890-abcdefghij",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA PRIVATE KEY-----",
]
NO_SECRETS = [
    "loss per token: 1.2345678e-05",
    "tokens=1000000000x",
    "the risk-averse task-like sk-learn-compatible-estimators",
    "Hoffmann et al. 2022, arXiv:2203.15556, equation 2",
    "https://arxiv.org/abs/2308.15594",
    "ssh://git@github.com/user/repository",
    "L(N, D) = E + A / N^alpha + B / D^beta",
    "the key: every configuration",
    "password: optional",
]


@pytest.mark.parametrize("secret", SHAPES)
def test_a_token_of_known_shape_is_masked_and_found(secret):
    text = f"it said {secret} and left"
    assert masked(text) == "it said *** and left"
    assert secret_place({"a": [0, {"b": text}]}) == ("a", 1, "b")
    assert secret_place({secret: 1}) == (secret,)


@pytest.mark.parametrize("text", NO_SECRETS)
def test_what_a_researcher_writes_is_not_taken_for_a_secret(text):
    assert masked(text) == text
    assert secret_place({"about": text}) is None


@pytest.mark.parametrize(
    "text",
    [
        f"http://someone:{CANARY}@host:5000/path",
        f"postgresql+psycopg://someone:{CANARY}@host/db",
        f"http://someone:a@b:{CANARY}@host",
        f"https://host/hook?token={CANARY}&b=1",
        f"https://host/hook?sig={CANARY}",
        f"token={CANARY}",
        f'{{"api_key": "{CANARY}"}}',
        f"MLFLOW_TRACKING_PASSWORD = {CANARY}",
        f"password: '{CANARY}'",
        f"Authorization: Bearer {CANARY}-{CANARY}",
        f"https://hooks.slack.com/services/T000/B000/{CANARY}",
    ],
)
def test_what_is_assigned_to_a_password_or_lies_in_an_address_is_masked_and_found(text):
    assert CANARY not in masked(text)
    assert secret_place([text]) == (0,)


@pytest.mark.parametrize(
    "name",
    ["AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "HF_TOKEN", "my_credential", "LAWSWEEP_NOTIFY"],
)  # fmt: skip
def test_the_value_of_a_variable_that_is_named_a_secret_is_masked_wherever_it_stands(
    name, monkeypatch
):
    monkeypatch.setenv(name, CANARY)
    assert masked(f"<{CANARY}{CANARY}>") == "<******>"
    assert secret_place({"about": f"with {CANARY}"}) == ("about",)


@pytest.mark.parametrize("between", [" ", "=", " '", "='"])
def test_the_address_of_a_webhook_in_a_command_is_masked_but_for_its_host(between):
    text = f"lawsweep launch a.yaml --notify{between}https://example.org/hook/{CANARY} --yes"
    assert masked(text) == f"lawsweep launch a.yaml --notify{between}https://example.org/*** --yes"


def test_the_password_of_an_address_in_the_environment_is_masked_alone(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:{CANARY}@host")
    assert masked(f"wrong password {CANARY} for me") == "wrong password *** for me"


def test_a_short_value_and_the_path_of_a_key_are_no_secrets(monkeypatch, tmp_path):
    file = tmp_path / "server.key"
    file.write_text("x")
    monkeypatch.setenv("SOME_KEY", "loss")
    monkeypatch.setenv("SSL_KEY_FILE", str(file))
    assert masked(f"the loss of {file}") == f"the loss of {file}"


def test_a_word_in_the_environment_does_not_keep_a_sweep_file_from_being_read(monkeypatch):
    monkeypatch.setenv("SOME_KEY", "transformer")
    assert secret_place({"model": "transformer"}) is None


def test_a_secret_inside_of_a_longer_one_leaves_nothing_of_it(monkeypatch):
    monkeypatch.setenv("A_TOKEN", CANARY)
    monkeypatch.setenv("B_TOKEN", f"{CANARY}-and-more")
    assert masked(f"{CANARY}-and-more") == "***"


@given(st.text(max_size=200))
def test_masking_a_masked_text_changes_nothing(text):
    assert masked(masked(text)) == masked(text)


def test_a_million_characters_are_masked_in_a_moment():
    for text in (
        "token=" * 150_000,
        "://" * 300_000,
        "-----BEGIN PRIVATE KEY-----" * 30_000,
        "eyJ." * 250_000,
    ):
        began = time.monotonic()
        masked(text)
        assert time.monotonic() - began < 5


def test_files_are_private_while_the_block_runs_and_not_after(tmp_path):
    before = os.umask(0o022)
    try:
        with private_files():
            (tmp_path / "inside").touch()
        (tmp_path / "outside").touch()
    finally:
        os.umask(before)
    assert (tmp_path / "inside").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "outside").stat().st_mode & 0o777 == 0o644
