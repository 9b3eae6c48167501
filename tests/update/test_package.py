"""What is taken for an update, and what is not."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bessai.update import UpdateError
from bessai.update.package import staged
from support.wheels import sums, wheel


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    (tmp_path / "workshop").mkdir()
    return tmp_path / "workshop"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A whole one, as far as checking goes."""
    root = tmp_path / "bundle-2.0.0"
    (root / "wheels").mkdir(parents=True)
    wheel(root, "2.0.0")
    wheel(root / "wheels", "1.0", name="other")
    (root / "requirements.txt").write_text("other==1.0\n")
    sums(root)
    return root


def _signed(root: Path, key: Path) -> Path:
    private = Ed25519PrivateKey.generate()
    (root / "SHA256SUMS.sig").write_bytes(private.sign((root / "SHA256SUMS").read_bytes()))
    key.write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return key


def test_a_wheel_alone(tmp_path: Path, workshop: Path) -> None:
    one = wheel(tmp_path, "1.2.3")
    digest = hashlib.sha256(one.read_bytes()).hexdigest()
    package = staged(one, workshop, sha256=f" {digest.upper()}\n")
    assert (package.version, package.requirements, package.sha256) == ("1.2.3", None, digest)
    one.write_bytes(b"exchanged afterwards")
    assert hashlib.sha256(package.wheel.read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("name", ["as a directory", "as a tar file", "as a tar file without a directory"])
def test_a_bundle(name: str, bundle: Path, workshop: Path, tmp_path: Path) -> None:
    source = bundle
    if "tar" in name:
        source = tmp_path / "bundle.tar"
        with tarfile.open(source, "w") as tar:
            tar.add(bundle, "." if "without" in name else bundle.name)
    (bundle / "wheels" / "other-9.0-py3-none-any.whl").write_bytes(b"not in SHA256SUMS")
    package = staged(source, workshop)
    assert package.version == "2.0.0"
    assert package.wheels is not None
    assert [path.name for path in package.wheels.iterdir()] == ["other-1.0-py3-none-any.whl"]


def test_the_signature_is_demanded_and_judged(bundle: Path, workshop: Path, tmp_path: Path) -> None:
    key = _signed(bundle, tmp_path / "key.pem")
    assert "signed" in staged(bundle, workshop, key=key).checked
    with pytest.raises(UpdateError, match="was not made for this"):
        staged(
            bundle,
            workshop,
            key=_signed(bundle.parent / bundle.name, tmp_path / "key2.pem").with_name("key.pem"),
        )
    (bundle / "SHA256SUMS.sig").unlink()
    with pytest.raises(UpdateError, match="is missing"):
        staged(bundle, workshop, key=key)


def test_a_lone_wheel_is_signed_by_the_sums_beside_it(workshop: Path, tmp_path: Path) -> None:
    (tmp_path / "release").mkdir()
    one = wheel(tmp_path / "release", "1.2.3")
    key = tmp_path / "key.pem"
    key.write_text("")
    sums(one.parent)
    with pytest.raises(UpdateError, match="no public key"):
        staged(one, workshop, key=key)
    assert "signed" in staged(one, workshop, key=_signed(one.parent, key)).checked
    one.write_bytes(wheel(tmp_path, "1.2.3", more="evil = True").read_bytes())
    with pytest.raises(UpdateError, match="does not have this file"):
        staged(one, workshop, key=key)


def test_what_is_not_taken(bundle: Path, workshop: Path, tmp_path: Path) -> None:
    one = wheel(tmp_path, "1.2.3")
    for source, more, why in (
        (tmp_path / "none.whl", {}, "cannot be used"),
        (one, {"sha256": "0" * 64}, "not the one given"),
        (bundle / "wheels" / "other-1.0-py3-none-any.whl", {}, "not of open-bess-edge"),
        (bundle / "wheels", {}, "neither a wheel nor a bundle"),
        (bundle / "requirements.txt", {}, "cannot be used"),
        (bundle, {"sha256": "0" * 64}, "is of a file"),
    ):
        with pytest.raises(UpdateError, match=why):
            staged(source, workshop, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["xz", "gz", "bz2"])
def test_a_file_that_was_cut_off_or_damaged(how: str, bundle: Path, workshop: Path, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "whole.tar", f"w:{how}") as tar:  # type: ignore[call-overload]
        tar.add(bundle, bundle.name)
    whole = (tmp_path / "whole.tar").read_bytes()
    for number, broken in enumerate((whole[: len(whole) // 2], whole[:200] + bytes(60) + whole[260:])):
        (tmp_path / f"broken-{number}.tar").write_bytes(broken)
        with pytest.raises(UpdateError, match="cannot be used"):
            staged(tmp_path / f"broken-{number}.tar", workshop)
    one = wheel(tmp_path, "1.2.3")
    with zipfile.ZipFile(one) as archive:
        squeezed = tmp_path / "open_bess_edge-1.2.4-py3-none-any.whl"
        with zipfile.ZipFile(squeezed, "w", zipfile.ZIP_DEFLATED) as other:
            for name in archive.namelist():
                other.writestr(name, archive.read(name) * 9)
            metadata = next(found for found in other.infolist() if found.filename.endswith("/METADATA"))
    data = bytearray(squeezed.read_bytes())
    start = metadata.header_offset + 30 + len(metadata.filename)
    data[start : start + 8] = b"\xff" * 8
    squeezed.write_bytes(data)
    with pytest.raises(UpdateError, match="is no wheel"):
        staged(squeezed, workshop)


def test_sums_that_are_no_text(bundle: Path, workshop: Path) -> None:
    (bundle / "SHA256SUMS").write_bytes(b"\xff\xfe")
    with pytest.raises(UpdateError, match="SHA256SUMS: is no UTF-8 text"):
        staged(bundle, workshop)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"{'0' * 64}  ../outside", "is no line"),
        (f"{'0' * 64}  /etc/passwd", "is no line"),
        ("nonsense", "is no line"),
        (f"{'0' * 64}  missing.whl", "is missing"),
        (f"{'0' * 64}  requirements.txt", "is not what"),
    ],
)
def test_a_bundle_that_is_not_whole(line: str, why: str, bundle: Path, workshop: Path) -> None:
    with (bundle / "SHA256SUMS").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(UpdateError, match=why):
        staged(bundle, workshop)


def test_a_tar_file_writes_nowhere_else(workshop: Path, tmp_path: Path) -> None:
    for number, name in enumerate(("../../evil", f"{tmp_path}/evil")):
        with tarfile.open(tmp_path / f"{number}.tar", "w", format=tarfile.PAX_FORMAT) as tar:
            member = tarfile.TarInfo(name)
            member.size = 4
            tar.addfile(member, io.BytesIO(b"evil"))
        with pytest.raises(UpdateError, match="leads elsewhere"):
            staged(tmp_path / f"{number}.tar", workshop)
        assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("packed", [False, True])
def test_links_are_not_followed(packed: bool, bundle: Path, workshop: Path, tmp_path: Path) -> None:
    (bundle / "requirements.txt").rename(tmp_path / "elsewhere")
    (bundle / "requirements.txt").symlink_to(tmp_path / "elsewhere")
    source = bundle
    if packed:
        source = tmp_path / "bundle.tar"
        with tarfile.open(source, "w") as tar:
            tar.add(bundle, bundle.name)
    with pytest.raises(UpdateError, match=r"requirements\.txt is missing"):
        staged(source, workshop)


def test_a_bundle_is_of_one_version(bundle: Path, workshop: Path) -> None:
    wheel(bundle, "2.0.1")
    sums(bundle)
    with pytest.raises(UpdateError, match="has one open-bess-edge wheel"):
        staged(bundle, workshop)


def test_a_key_of_another_kind_is_none(bundle: Path, workshop: Path, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    public = X25519PrivateKey.generate().public_key()
    key.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (bundle / "SHA256SUMS.sig").write_bytes(bytes(64))
    with pytest.raises(UpdateError, match="no Ed25519 key"):
        staged(bundle, workshop, key=key)
