"""The key that signs ServiceAccount tokens: RS256 (RFC 7518), its id as kube-apiserver makes it, its public half for others."""

from __future__ import annotations

import base64
import hashlib
from functools import cached_property
from typing import TYPE_CHECKING

from labctl.api.objects import Object

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey


class SigningKey:
    """An RSA key, read (or, from an empty PEM, made) when the first token needs it: the library takes 30 ms to load."""

    def __init__(self, pem: str) -> None:
        self._pem = pem

    @property
    def header(self) -> Object:
        """The header of tokens."""
        return {"alg": "RS256", "kid": self._id}

    def sign(self, body: str) -> str:
        """The signature of a token's first two parts."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        return b64(self._key.sign(body.encode(), padding.PKCS1v15(), hashes.SHA256()))

    def verifies(self, body: str, signature: str) -> bool:
        """Whether it was this key that signed."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        try:
            raw = unb64(signature)
            self._key.public_key().verify(raw, body.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True

    def public(self) -> Object:
        """The public key as a JSON Web Key Set (RFC 7517)."""
        numbers = self._key.public_key().public_numbers()
        parts = {name: b64(n.to_bytes(-(-n.bit_length() // 8))) for name, n in (("n", numbers.n), ("e", numbers.e))}
        return {"keys": [{"use": "sig", "kty": "RSA", "kid": self._id, "alg": "RS256", **parts}]}

    @cached_property
    def _id(self) -> str:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        spki = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return b64(hashlib.sha256(spki).digest())

    @cached_property
    def _key(self) -> RSAPrivateKey:
        from cryptography.hazmat.primitives.asymmetric import rsa
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        if not self._pem:
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        key = load_pem_private_key(self._pem.encode(), None)
        assert isinstance(key, rsa.RSAPrivateKey)  # labctl.lab.certificates makes it
        return key


def b64(data: bytes) -> str:
    """Base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unb64(text: str) -> bytes:
    """Its opposite. Raises ValueError."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
