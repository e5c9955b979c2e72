"""Signatures of what a node hands out, for whoever has no copy of its ledger.

    signer = Signer.open(directory / "signing.key")     # None where there is no key: then nothing is signed
    view = signer.signed(view)
    checked(view, public)                               # by anybody who has the node's public key

Ed25519 (RFC 8032) over the object as JSON with sorted keys and without spaces, all of it but `signature`. The key file
is 32 bytes, mode 0600; whoever replaces it replaces the signer, so a public key is to be had from the shop, not from a
view. The library is the extra `nextpaint[sign]`, imported only here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from nextpaint.govern.access import replace_private_file
from nextpaint.record.errors import InvalidInput, NextpaintError

SIGNATURE = "signature"
KEY_BYTES = 32
_KIND = "ed25519"


class Signer:
    """A private key. `public`: the key that its signatures are checked with, 64 hex digits."""

    def __init__(self, seed: bytes) -> None:
        self._key: Any = _library().Ed25519PrivateKey.from_private_bytes(seed)
        self.public: str = self._key.public_key().public_bytes_raw().hex()

    @staticmethod
    def open(path: Path) -> Signer | None:
        """The key of a file; None where there is no such file. Raises NextpaintError for a damaged one."""
        try:
            seed = path.read_bytes()
        except FileNotFoundError:
            return None
        if len(seed) != KEY_BYTES:
            what = f"the signing key has {len(seed)} bytes instead of {KEY_BYTES}"
            raise NextpaintError(what, where=str(path), cure="restore it from a backup, or remove it and make another")
        return Signer(seed)

    @staticmethod
    def create(path: Path, seed: bytes) -> Signer:
        """Keep a new key, 32 random bytes, in a file."""
        signer = Signer(seed)
        replace_private_file(path, seed)
        return signer

    def signed(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """An object with its signature."""
        value: bytes = self._key.sign(_text(said))
        return {**said, SIGNATURE: {"kind": _KIND, "public": self.public, "value": value.hex()}}


def checked(said: Mapping[str, Any], public: str) -> str:
    """Why an object is not signed by the key `public`; '' where it is. Raises InvalidInput for no public key."""
    library = _library()
    try:
        key = library.Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
    except ValueError as error:
        cure = "give the 64 hex digits that `nextpaint signer` printed"
        raise InvalidInput(f"{public[:80]!r} is no public key", where="--signer", cure=cure) from error
    signature = said.get(SIGNATURE)
    if not isinstance(signature, dict) or signature.get("kind") != _KIND:
        return "it is not signed"
    if signature.get("public") != public:
        return f"it is signed with another key, {str(signature.get('public'))[:80]}"
    try:
        key.verify(bytes.fromhex(str(signature.get("value"))), _text(said))
    except (ValueError, _invalid()):
        return "it was changed after it was signed"
    return ""


def _text(said: Mapping[str, Any]) -> bytes:
    """What is signed: the same for an object and for its JSON read again."""
    plain = {name: value for name, value in said.items() if name != SIGNATURE}
    return msgspec.json.encode(msgspec.json.decode(msgspec.json.encode(plain)), order="sorted")


def _library() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError as error:
        raise NextpaintError(
            "signatures need the package cryptography", where="signing.key", cure="pip install 'nextpaint[sign]'"
        ) from error
    return ed25519


def _invalid() -> type[Exception]:
    from cryptography.exceptions import InvalidSignature

    return InvalidSignature
