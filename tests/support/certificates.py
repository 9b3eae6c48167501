"""Certificates of an authority made for one test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """PEM files."""

    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path
    other_ca: Path
    """Of an authority that signed none of them."""


def make_certificates(directory: Path) -> Certificates:
    """For a server at 127.0.0.1 and localhost, and for a client."""
    directory.mkdir(parents=True, exist_ok=True)
    files = Certificates(
        *(
            directory / f"{name}.pem"
            for name in ("ca", "server", "server_key", "client", "client_key", "other_ca")
        )
    )
    authority, other = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(files.ca)
    other.cert_pem.write_to_path(files.other_ca)
    for names, chain, key in (
        (("127.0.0.1", "localhost"), files.server, files.server_key),
        (("gateway@example.org",), files.client, files.client_key),
    ):
        certificate = authority.issue_cert(*names)
        for i, part in enumerate(certificate.cert_chain_pems):
            part.write_to_path(chain, append=i > 0)
        certificate.private_key_pem.write_to_path(key)
    return files
