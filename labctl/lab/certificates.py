"""A lab's own certificate authority, the API server's certificate, and the key that signs ServiceAccount tokens.

The authority's private key is used once and forgotten: nothing later needs a second certificate.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import secrets
from collections.abc import Iterable

from labctl.config import Credentials

_VALID = dt.timedelta(days=3650)


def api_server_names(cluster_domain: str) -> tuple[str, ...]:
    """DNS names under which pods and the host know the API server."""
    service = "kubernetes.default.svc"
    return ("localhost", "kubernetes", "kubernetes.default", service, f"{service}.{cluster_domain}")


def issue(names: Iterable[str], addresses: Iterable[str], *, now: dt.datetime) -> Credentials:
    """Fresh credentials. The server certificate is valid for `names` and `addresses`, ten years from `now`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def named(common_name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])

    def builder(subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(named(subject))
            .issuer_name(named("labctl"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))  # clocks of virtual machines lag
            .not_valid_after(now + _VALID)
        )

    ca_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_id = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    signer = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    ca = (
        builder("labctl", ca_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(signer, critical=True)
        .add_extension(authority_id, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    alternatives = [x509.DNSName(n) for n in names] + [x509.IPAddress(ipaddress.ip_address(a)) for a in addresses]
    server = (
        builder("kube-apiserver", server_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_id),
            critical=False,
        )
        .sign(ca_key, hashes.SHA256())
    )
    return Credentials(
        ca_certificate=_pem(ca),
        server_certificate=_pem(server),
        server_key=_key_pem(server_key),
        service_account_key=_service_account_key(),
        admin_token=secrets.token_urlsafe(32),
        node_token=secrets.token_urlsafe(32),
    )


def _service_account_key() -> str:
    """RSA, because Kubernetes' default algorithm for these tokens is RS256 and some verifiers know nothing else."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    return _key_pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def _pem(certificate: object) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    assert isinstance(certificate, x509.Certificate)
    return certificate.public_bytes(Encoding.PEM).decode()


def _key_pem(key: object) -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
