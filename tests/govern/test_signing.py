"""Signatures: what a node hands out is checked by anybody who has its public key, and by nobody else's."""

import asyncio
import json
import os
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from nextpaint.cli import main
from nextpaint.engine.node import NodeSettings
from nextpaint.govern import signing
from nextpaint.govern.access import LOCAL
from nextpaint.govern.paper import on_paper
from nextpaint.govern.signing import Signer, checked
from nextpaint.record.errors import InvalidInput, NextpaintError
from tests.engine.shop import GOODS, asked, click, corner, opened

VIEW = {"b": 1.0, "a": [1, {"z": "ü", "y": None}], "big": 2**63 + 5, "small": 1e-300}


def test_a_signature_holds_for_the_object_and_for_its_json_read_again():
    signer = Signer(bytes(range(32)))
    signed = signer.signed(VIEW)
    assert checked(signed, signer.public) == ""
    assert checked(json.loads(json.dumps(signed, indent=3)), signer.public) == ""
    text = json.dumps(VIEW, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    Ed25519PublicKey.from_public_bytes(bytes.fromhex(signer.public)).verify(
        bytes.fromhex(signed["signature"]["value"]), text
    )  # by another hand, as the module says it is made


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"b": 1.5}, "changed after"),
        ({"added": 1}, "changed after"),
        ({"a": [1, {"z": "u", "y": None}]}, "changed after"),
        ({"signature": None}, "not signed"),
    ],
)
def test_what_was_changed_shows(change, said):
    signer = Signer(bytes(32))
    signed = {**signer.signed(VIEW), **change}
    assert said in checked(signed, signer.public)
    assert "another key" in checked(signer.signed(VIEW), Signer(b"1" * 32).public)
    forged = Signer(b"1" * 32).signed(VIEW)
    forged["signature"]["public"] = signer.public
    assert "changed after" in checked(forged, signer.public)
    with pytest.raises(InvalidInput, match="no public key"):
        checked(signed, "abc")


def test_the_regulator_gets_a_signed_view_that_needs_no_ledger(tmp_path, capsys, monkeypatch):
    data = tmp_path / "node"
    assert main(["signer", "--data", str(data)]) == 0
    public = capsys.readouterr().out.strip()
    assert main(["signer", "--data", str(data)]) == 0
    assert capsys.readouterr().out.strip() == public, "the key that is there stays"
    assert stat.S_IMODE(os.stat(data / "signing.key").st_mode) == 0o600

    async def run():
        settings = NodeSettings(lag_ms_max=10**9)
        async with opened(data, corner(), items=GOODS, settings=settings) as engine:
            await engine.ingest(LOCAL, [click("v1", "g3")])
            name = (await engine.decide(LOCAL, "shelf", asked("v1")))["decision_id"]
            assert "signature" not in await engine.explain(LOCAL, name, "user")
            return await engine.explain(LOCAL, name, "regulator", True)

    view = asyncio.run(run())
    path = tmp_path / "view.json"
    path.write_text(json.dumps(view))
    assert main(["verify", "--view", str(path), "--signer", public]) == 0
    assert "is signed by this key" in capsys.readouterr().out
    assert main(["verify", str(data), "--view", str(path), "--signer", public]) == 0, "and it is what the ledger says"
    paper = tmp_path / "view.pdf"
    paper.write_bytes(on_paper(view))
    assert main(["verify", str(data), "--view", str(paper), "--signer", public]) == 0, "the same view, attached"
    path.write_text(json.dumps({**view, "profiled": not view["profiled"]}))
    assert main(["verify", "--view", str(path), "--signer", public]) == 1
    assert "changed after it was signed" in capsys.readouterr().out
    assert main(["verify"]) == 2
    assert main(["verify", str(data), "--signer", public]) == 2


def test_a_damaged_key_or_a_missing_library_stops_the_node_and_says_what_to_do(tmp_path, monkeypatch):
    assert Signer.open(tmp_path / "signing.key") is None
    (tmp_path / "signing.key").write_bytes(b"short")
    with pytest.raises(NextpaintError, match="5 bytes instead of 32"):
        Signer.open(tmp_path / "signing.key")
    (tmp_path / "signing.key").write_bytes(bytes(32))
    monkeypatch.setitem(__import__("sys").modules, "cryptography.hazmat.primitives.asymmetric", None)
    with pytest.raises(NextpaintError, match="need the package cryptography") as refused:
        Signer.open(tmp_path / "signing.key")
    assert "nextpaint[sign]" in refused.value.cure
    assert signing.SIGNATURE == "signature"
