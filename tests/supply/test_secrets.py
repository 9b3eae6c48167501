"""A planted key is found, in whatever room; what was looked at and is none is not."""

import json
import secrets as random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from release import secrets


def private_key() -> str:
    return (
        ed25519.Ed25519PrivateKey.generate()
        .private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        .decode()
    )


def planted(root: Path, name: str, text: str) -> set[str]:
    """The kinds of secrets that are found in a file with this text."""
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text, "utf-8")
    return {kind for _, kind, _ in secrets.found([name], root)}


@pytest.mark.parametrize("name", ["src/bessai/x.py", "tests/x.py", "docs/x.md", "config/x.yaml"])
def test_a_private_key_is_found(tmp_path: Path, name: str) -> None:
    assert "Private Key" in planted(tmp_path, name, f"# some words\n\n{private_key()}")


def test_a_google_credential_is_found(tmp_path: Path) -> None:
    words = json.dumps({"type": "service_account", "private_key": private_key()}, indent=1)
    assert "Private Key" in planted(tmp_path, "infrastructure/credentials.json", words)


@pytest.mark.parametrize("name", ["src/bessai/x.py", "tests/x.py"])
def test_tokens_are_found(tmp_path: Path, name: str) -> None:
    token = "ghp_" + (random.token_hex(18))
    assert "GitHub Token" in planted(tmp_path, name, f'push("{token}")\n')
    access = "AKIA" + random.token_hex(8).upper()
    assert "AWS Access Key" in planted(tmp_path, name, f"id = '{access}'\n")


def test_random_strings_and_passwords_are_found_in_code(tmp_path: Path) -> None:
    assert planted(tmp_path, "src/x.py", f'SALT = "{random.token_hex(32)}"\n')
    assert "Secret Keyword" in planted(tmp_path, "src/y.py", 'password = "Ventana-77-azul"\n')
    assert "Basic Auth Credentials" in planted(tmp_path, "src/z.py", 'URL = "mqtt://ana:Ventana77@broker"\n')


def test_the_line_is_told(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("\n" * 41 + f'SALT = "{random.token_hex(32)}"\n')
    assert list(secrets.found(["x.py"], tmp_path).values()) == [42]


def test_invented_passwords_of_tests_are_none(tmp_path: Path) -> None:
    assert planted(tmp_path, "tests/x.py", 'password = "Ventana-77-azul"\n') == set()


def test_a_new_finding_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.py").write_text(f'SALT = "{random.token_hex(32)}"\n')
    baseline = tmp_path / "baseline"
    everything = secrets.found
    monkeypatch.setattr(secrets, "tracked", lambda: ["x.py"])
    monkeypatch.setattr(secrets, "found", lambda names: everything(names, tmp_path))
    monkeypatch.setattr(secrets, "BASELINE", baseline)
    baseline.write_text('{"results": {}}')
    monkeypatch.setattr("sys.argv", ["secrets"])
    assert secrets.main() == 1
    assert "x.py:1: Hex High Entropy String" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["secrets", "--accept"])
    assert secrets.main() == 0
    assert "SALT" not in baseline.read_text()
