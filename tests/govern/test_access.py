"""API keys: shown once, kept as a hash, compared in constant time; loopback without keys is open, and only that."""

import stat

import pytest

from nextpaint.govern.access import ADMIN, INGEST, LOCAL, READ, Access, AccessDenied, create_key, read_keys, revoke_key
from nextpaint.ports.random import SystemRandom
from nextpaint.record.errors import InvalidInput, NextpaintError, Unauthenticated


def test_a_key_is_recognised_and_has_its_scopes_only(tmp_path):
    path = tmp_path / "access.json"
    key = create_key(path, "shop", [INGEST], SystemRandom())
    principal = Access.open(path).authenticate(key)
    assert (principal.name, principal.scopes) == ("shop", {INGEST})
    principal.require(INGEST)
    with pytest.raises(AccessDenied) as denied:
        principal.require(ADMIN)
    assert denied.value.status == 403


def test_the_secret_is_not_in_the_file_and_the_file_is_private(tmp_path):
    path = tmp_path / "access.json"
    key = create_key(path, "shop", [READ], SystemRandom())
    assert key.startswith("np_")
    assert key.partition(".")[2] not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("change", [
    lambda key: None, lambda key: "", lambda key: "np_", lambda key: key[:-1], lambda key: key + "0",
    lambda key: key.upper(), lambda key: "np_zzz." + key.partition(".")[2], lambda key: key.partition(".")[0],
    lambda key: "\ud800" * 10, lambda key: key.partition(".")[0] + "." + "0" * 64, lambda key: "x" * 10_000,
])  # fmt: skip
def test_anything_else_is_refused(tmp_path, change):
    path = tmp_path / "access.json"
    key = create_key(path, "shop", [READ], SystemRandom())
    with pytest.raises(Unauthenticated):
        Access.open(path).authenticate(change(key))


def test_no_keys_on_loopback_is_open_and_elsewhere_closed(tmp_path):
    assert Access.open(tmp_path / "none.json").authenticate(None) is LOCAL
    with pytest.raises(Unauthenticated):
        Access.open(tmp_path / "none.json", loopback=False).authenticate(None)


def test_a_node_with_keys_is_closed_on_loopback_too(tmp_path):
    create_key(tmp_path / "access.json", "shop", [READ], SystemRandom())
    with pytest.raises(Unauthenticated):
        Access.open(tmp_path / "access.json", loopback=True).authenticate(None)


def test_revoking_and_damage(tmp_path):
    path = tmp_path / "access.json"
    key = create_key(path, "one", [READ], SystemRandom())
    create_key(path, "two", [READ], SystemRandom())
    assert revoke_key(path, key)
    assert not revoke_key(path, key)
    assert [record.name for record in read_keys(path)] == ["two"]
    with pytest.raises(InvalidInput):
        create_key(path, "three", ["root"], SystemRandom())
    path.write_text("{")
    with pytest.raises(NextpaintError, match="cannot be read"):
        Access.open(path)
