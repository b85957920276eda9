"""A real time stamp authority: ``openssl ts -reply`` behind a small HTTP server."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.receivers import Received

_CONFIG = """
[tsa]
default_tsa = authority
[authority]
serial = {folder}/serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.3.6.1.4.1.32473.1
digests = sha256, sha384, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""


class Authority:
    """Its root, its signing key, and the program that answers queries."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.roots = folder / "roots.pem"
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root = self._certificate("root", root_key, None, root_key, ca=True)
        own = self._certificate("tsa", key, root, root_key, ca=False)
        self.roots.write_bytes(root.public_bytes(Encoding.PEM))
        (folder / "tsa.pem").write_bytes(own.public_bytes(Encoding.PEM))
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "tsa.key").write_bytes(secret)
        (folder / "serial").write_text("01\n")
        (folder / "ts.cnf").write_text(_CONFIG.format(folder=folder))

    def answer(self, received: Received) -> tuple[int, dict[str, str], bytes]:
        """Answer one query as the program does."""
        query, reply = self.folder / "query", self.folder / "reply"
        query.write_bytes(received.body)
        self._run("-reply", "-config", "ts.cnf", "-queryfile", query, "-signer", "tsa.pem",
                  "-inkey", "tsa.key", "-out", reply)  # fmt: skip
        return 200, {"Content-Type": "application/timestamp-reply"}, reply.read_bytes()

    def verifies(self, data: Path, stamp: Path) -> bool:
        """Ask the program whether a stamp covers a file."""
        return self._run("-verify", "-data", data, "-in", stamp, "-CAfile", self.roots, check=False)

    def _run(self, *arguments: object, check: bool = True) -> bool:
        command = ["openssl", "ts", *map(str, arguments)]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done.returncode == 0

    @staticmethod
    def _certificate(
        name: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: x509.Certificate | None,
        signer: ec.EllipticCurvePrivateKey,
        *,
        ca: bool,
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name}.example")])
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if not ca:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
            builder = builder.add_extension(usage, critical=True)
        return builder.sign(signer, SHA256())
