"""Encryption at rest: what the database holds is of no use without the keys."""

from routescope.encryption.fields import MASK, EncryptedTextField, Secret, rotate_fields
from routescope.encryption.keys import DecryptionError, decrypt, encrypt, is_current, key_id, rotate

__all__ = [
    "MASK",
    "DecryptionError",
    "EncryptedTextField",
    "Secret",
    "decrypt",
    "encrypt",
    "is_current",
    "key_id",
    "rotate",
    "rotate_fields",
]
