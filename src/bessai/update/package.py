"""What an update comes in: a wheel, or a bundle with all it needs, checked before anything of it is used.

A bundle is a directory, or a tar file of one:

    SHA256SUMS  SHA256SUMS.sig?  open_bess_edge-*.whl  requirements.txt  wheels/*.whl  install.sh …

Everything is copied first and judged afterwards, so that nobody can exchange it in between. Files that SHA256SUMS does
not name are not taken. The signature is Ed25519 over the bytes of SHA256SUMS, as
`openssl pkeyutl -sign -rawin -inkey KEY -in SHA256SUMS -out SHA256SUMS.sig` makes it.
"""

from __future__ import annotations

import email.parser
import hashlib
import lzma
import re
import shutil
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from bessai.update import UpdateError

DISTRIBUTION: Final = "open-bess-edge"
SUMS: Final = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A checked copy."""

    wheel: Path
    """The gateway's own wheel."""
    version: str
    requirements: Path | None
    """Hash-pinned requirements whose wheels lie in `wheels`; None: the wheel came alone."""
    wheels: Path | None
    sha256: str
    """Of the wheel."""
    checked: str
    """By what it was checked, for people."""


def staged(source: Path, workshop: Path, *, sha256: str | None = None, key: Path | None = None) -> Package:
    """Copy a wheel or a bundle into the empty directory `workshop`, and check it there.

    Args:
        source: the wheel, the bundle's directory or its tar file.
        workshop: an empty directory that nobody else writes.
        sha256: of the wheel or of the tar file, from elsewhere.
        key: public key (PEM); when it is given, only what it signed is taken.

    Raises:
        UpdateError: it is not what it should be.
    """
    try:
        if source.is_dir():
            if sha256:
                raise UpdateError("--sha256 is of a file: name the wheel or the bundle's tar file")
            return _bundle(source, workshop, key)
        copy = workshop / source.name
        shutil.copyfile(source, copy)
        if sha256 and (found := _digest(copy)) != sha256.strip().lower():
            raise UpdateError(f"{source}: its SHA-256 is {found}, not the one given: fetch it again")
        if source.suffix == ".whl":
            return _lone_wheel(source, copy, workshop, sha256, key)
        with tarfile.open(copy) as tar:
            _unpack(tar, workshop / "unpacked")
        copy.unlink()
    except (OSError, EOFError, tarfile.TarError, zlib.error, lzma.LZMAError) as error:
        raise UpdateError(f"{source} cannot be used: {error}") from None
    inside = [path.parent for path in (workshop / "unpacked").glob(f"*/{SUMS}")]
    root = inside[0] if len(inside) == 1 else workshop / "unpacked"
    return _bundle(root, workshop, key, "the tar file's SHA-256 and " if sha256 else "")


def _unpack(tar: tarfile.TarFile, target: Path) -> None:
    """Plain files only, and only below `target`. Python before 3.11.4 has no filter that does so."""
    for member in tar:
        name = PurePosixPath(member.name)
        if not member.isfile():
            continue
        if name.is_absolute() or ".." in name.parts:
            raise UpdateError(f"the bundle has a file that leads elsewhere: {member.name!r}")
        content = tar.extractfile(member)
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if content is not None:
            with (target / name).open("wb") as file:
                shutil.copyfileobj(content, file)


def _lone_wheel(source: Path, copy: Path, workshop: Path, sha256: str | None, key: Path | None) -> Package:
    """A wheel; SHA256SUMS and its signature may lie beside it."""
    by = "the SHA-256 that was given" if sha256 else "nothing: neither --sha256 nor SHA256SUMS was given"
    if (sums := source.with_name(SUMS)).exists():
        shutil.copyfile(sums, workshop / SUMS)
        known = _sums(workshop / SUMS)
        if known.get(source.name) != _digest(copy):
            raise UpdateError(f"{source}: SHA256SUMS beside it does not have this file: fetch both again")
        by = SUMS
    if key is not None:
        _verify(sums, workshop / SUMS, key)
        by = f"{SUMS}, signed by the owner of {key}"
    return Package(
        wheel=copy, version=_version(copy), requirements=None, wheels=None, sha256=_digest(copy), checked=by
    )


def _bundle(source: Path, workshop: Path, key: Path | None, by: str = "") -> Package:
    """Take what SHA256SUMS names, and nothing else."""
    if not (source / SUMS).is_file():
        raise UpdateError(f"{source} is neither a wheel nor a bundle: it has no {SUMS}")
    shutil.copyfile(source / SUMS, workshop / SUMS)
    if key is not None:
        _verify(source / SUMS, workshop / SUMS, key)
    target = workshop / "bundle"
    for name, digest in _sums(workshop / SUMS).items():
        there = source / name
        if not there.is_file() or there.is_symlink():
            raise UpdateError(f"{source}: {name} is missing: fetch the bundle again")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(there, target / name)
        if _digest(target / name) != digest:
            raise UpdateError(f"{source}: {name} is not what {SUMS} says: fetch the bundle again")
    own = sorted(target.glob(f"{DISTRIBUTION.replace('-', '_')}-*.whl"))
    if len(own) != 1 or not (target / "requirements.txt").is_file():
        raise UpdateError(f"{source}: a bundle has one {DISTRIBUTION} wheel and a requirements.txt")
    (target / "wheels").mkdir(exist_ok=True)
    return Package(
        wheel=own[0],
        version=_version(own[0]),
        requirements=target / "requirements.txt",
        wheels=target / "wheels",
        sha256=_digest(own[0]),
        checked=by + (f"{SUMS}, signed by the owner of {key}" if key else SUMS),
    )


def _sums(path: Path) -> dict[str, str]:
    known: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise UpdateError(f"{path.name}: is no UTF-8 text: fetch it again") from None
    for line in lines:
        match = _LINE.fullmatch(line)
        name = PurePosixPath(match[2]) if match else None
        if match is None or name is None or name.is_absolute() or ".." in name.parts:
            raise UpdateError(f"{path.name}: {line[:80]!r} is no line of sha256sum")
        known[str(name)] = match[1]
    return known


def _verify(sums: Path, copy: Path, key: Path) -> None:
    try:
        public = load_pem_public_key(key.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise UpdateError(f"{key} is no public key that can be read: {error}") from None
    if not isinstance(public, Ed25519PublicKey):
        raise UpdateError(f"{key} is no Ed25519 key: make one with `openssl genpkey -algorithm ed25519`")
    try:
        public.verify(sums.with_name(f"{SUMS}.sig").read_bytes(), copy.read_bytes())
    except FileNotFoundError as error:
        raise UpdateError(f"{Path(error.filename).name} is missing: {key} demands a signature") from None
    except InvalidSignature:
        raise UpdateError(f"{SUMS}.sig was not made for this {SUMS} by the owner of {key}") from None


def _version(wheel: Path) -> str:
    """What the wheel says of itself. UpdateError when it is not one of this gateway."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            (name,) = [n for n in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", n)]
            said = email.parser.Parser().parsestr(archive.read(name).decode())
    except (ValueError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise UpdateError(f"{wheel.name} is no wheel: {error}") from None
    if re.sub(r"[-_.]+", "-", str(said["Name"])).lower() != DISTRIBUTION or not said["Version"]:
        raise UpdateError(f"{wheel.name} is the wheel of {said['Name']}, not of {DISTRIBUTION}")
    return str(said["Version"])


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
