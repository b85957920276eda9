"""Everything that leaves verifies with software that is not ours.

`tlog_scales` (C2SP notes, tiles and proofs, of the people behind a log monitor), `pymerkle` (an
RFC 6962 tree of its own) and the program `openssl` know nothing of Innkeeper.
"""

import shutil
import subprocess
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.management import call_command
from pymerkle import InmemoryTree
from tlog_scales.backend import LocalBackend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tlog import (
    Checkpoint,
    ConsistencyProof,
    ConsistencyProofInvalid,
    InclusionProof,
    InclusionProofInvalid,
)

from audit.c2sp.note import split_vkey
from audit.c2sp.proof import parse_proof
from audit.models import Event, Head
from audit.queries import proofs
from audit.sealing import headslog
from audit.sealing.sealer import Sealer
from kernel.tenancy import tenant_context
from tests.audit.logs import changes
from tests.guests import call
from tests.waiting import until

SIZE = 517
OLD = (1, 2, 3, 255, 256, 257, 300, 512, 516, 517)


class Bundle:
    """A tenant's exported log, and the key that an outsider got another way."""

    def __init__(self, directory: Path, tenant: UUID, vkey: str) -> None:
        self.directory, self.tenant, self.vkey = directory, tenant, vkey
        self.reader = TilesReader(LocalBackend(directory))
        self.checkpoint = self.reader.get_checkpoint()
        self.entries = [self.reader.get_entry(index) for index in range(SIZE)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    tenant, folder = uuid4(), tmp_path_factory.mktemp("bundle")
    changes(tenant, SIZE)
    sealer = Sealer()
    try:
        until("a former leader's session has ended", sealer.lead)
        sealer.drain()
    finally:
        sealer.release()
    call_command("audit_export", str(tenant), str(folder), verbosity=0)
    directory = folder / "platform-0"
    return Bundle(directory, tenant, (directory / "vkeys").read_text().split("\n")[0])


def test_checkpoint__both_signatures__verify_under_the_keys_of_the_bundle(bundle: Bundle) -> None:
    keys = (bundle.directory / "vkeys").read_text().split()
    assert {Vkey.from_string(key).sig_type for key in keys} == {1, 6}
    for key in keys:
        bundle.checkpoint.verify(Vkey.from_string(key))
    other = Checkpoint.from_text(
        (bundle.directory / "checkpoint").read_text().replace(f"\n{SIZE}\n", f"\n{SIZE + 1}\n")
    )
    for key in keys:
        with pytest.raises(InvalidSignature):
            other.verify(Vkey.from_string(key))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is missing")
def test_checkpoint__ed25519_signature__verifies_with_openssl(
    bundle: Bundle, tmp_path: Path
) -> None:
    _, _, public = split_vkey(bundle.vkey)
    key = Ed25519PublicKey.from_public_bytes(public)
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    ours = Vkey.from_string(bundle.vkey)
    (line,) = [one for one in bundle.checkpoint.signatures if ours.match(one)]
    text = bundle.checkpoint.serialize_body()
    assert openssl_verifies(tmp_path, pem, line.payload, text.encode())
    assert not openssl_verifies(tmp_path, pem, line.payload, text.encode() + b"x")


def openssl_verifies(folder: Path, pem: bytes, signature: bytes, data: bytes) -> bool:
    for name, content in (("key", pem), ("signature", signature), ("data", data)):
        (folder / name).write_bytes(content)
    done = subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key", "-rawin", "-in", "data",
         "-sigfile", "signature"],
        cwd=folder, capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode == 0


def test_tiles__of_the_bundle__lead_to_the_signed_root_and_hold_its_entries(
    bundle: Bundle,
) -> None:
    assert bundle.reader.calculate_root_hash() == bundle.checkpoint.root_hash
    tree = InmemoryTree.init_from_entries(bundle.entries, algorithm="sha256")
    assert tree.get_root() == bundle.checkpoint.root_hash
    for index in range(SIZE):
        leaf = bundle.reader.mth(index, index + 1)
        assert leaf == tree.get_leaf(index + 1)


def test_tile__with_a_flipped_bit__leads_elsewhere(bundle: Bundle, tmp_path: Path) -> None:
    for name in ("tile/0/002.p/5", "tile/1/000.p/2"):
        copy = tmp_path / name.replace("/", "_")
        shutil.copytree(bundle.directory, copy)
        raw = bytearray((copy / name).read_bytes())
        raw[7] ^= 1
        (copy / name).write_bytes(raw)
        reader = TilesReader(LocalBackend(copy))
        reader.get_checkpoint()
        assert reader.calculate_root_hash() != bundle.checkpoint.root_hash


def test_inclusion__of_every_tenth_entry__is_shown_by_our_proof_to_two_others(
    bundle: Bundle,
) -> None:
    tree = InmemoryTree.init_from_entries(bundle.entries, algorithm="sha256")
    with tenant_context(bundle.tenant):
        events = list(Event.objects.order_by("seq"))[::10]
        told = [proofs.inclusion(event) for event in events]
    for proof in told:
        assert proof is not None
        offline = parse_proof(proof.tlog().encode())
        signed = Checkpoint.from_text(offline.checkpoint)
        signed.verify(Vkey.from_string(bundle.vkey))
        path = list(offline.path)
        shown = InclusionProof(offline.index, signed.size, path)
        shown.check(proof.leaf_hash, signed.root_hash)
        theirs = tree.prove_inclusion(offline.index + 1, signed.size)
        assert theirs.path == [proof.leaf_hash, *path]
        theirs.verify(proof.leaf_hash, signed.root_hash)
        moved = InclusionProof((offline.index + 1) % signed.size, signed.size, path)
        with pytest.raises(InclusionProofInvalid):
            moved.check(proof.leaf_hash, signed.root_hash)


@pytest.mark.parametrize("old", OLD)
def test_consistency__between_sizes__is_shown_by_our_proof(bundle: Bundle, old: int) -> None:
    tree = InmemoryTree.init_from_entries(bundle.entries, algorithm="sha256")
    with tenant_context(bundle.tenant):
        head = Head.objects.get(stream=0)
        ours = proofs.consistency(head, old, SIZE)
    shown = ConsistencyProof(old, SIZE, list(ours.path))
    shown.check(tree.get_root(old), bundle.checkpoint.root_hash)
    assert shown.node_hashes == bundle.reader.get_consistency_proof(old, SIZE).node_hashes
    if ours.path:
        damaged = [bytes(32), *ours.path[1:]]
        with pytest.raises(ConsistencyProofInvalid):
            ConsistencyProof(old, SIZE, damaged).check(
                tree.get_root(old), bundle.checkpoint.root_hash
            )


def test_heads_log__public_tiles__lead_to_its_signed_root(sealer: Sealer) -> None:
    changes(uuid4(), 1)
    sealer.drain()
    headslog.publish()
    reader = TilesReader(Served())
    signed = reader.get_checkpoint()
    assert reader.calculate_root_hash() == signed.root_hash
    tree = InmemoryTree(algorithm="sha256")
    for index in range(signed.size):
        tree.append_entry(reader.get_entry(index))
    assert tree.get_root() == signed.root_hash


class Served:
    """The public routes of the log of heads, as the tools' HTTP backend sees them."""

    def get(self, *path: str) -> bytes | None:
        answer = call("GET", "audit/heads/" + "/".join(path))
        return answer.content if answer.status == 200 else None
