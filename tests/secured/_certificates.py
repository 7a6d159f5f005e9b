# SPDX-License-Identifier: Apache-2.0
"""Certificates for a server of the tests, right and wrong."""

import datetime
import ipaddress
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


class Authority:
    """Signs certificates; its own is FOLDER/NAME.pem."""

    def __init__(self, folder: pathlib.Path, name: str):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        own = self._begin(self.name, self.key, NOW + DAY)
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(own.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, until: datetime.datetime = NOW + DAY) -> pathlib.Path:
        """A file with the certificate of that host, its key in front."""
        key = ec.generate_private_key(ec.SECP256R1())
        try:
            holder = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            holder = x509.DNSName(name)
        certificate = self._begin(x509.Name([]), key, until)
        certificate = certificate.add_extension(x509.SubjectAlternativeName([holder]), critical=True)
        file = self.folder / f"{certificate._serial_number}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        file.chmod(0o600)
        return file

    def _begin(self, subject: x509.Name, key, until: datetime.datetime) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 7 * DAY)
            .not_valid_after(until)
        )
