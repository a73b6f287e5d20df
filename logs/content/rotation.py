"""All that is encrypted at rest, brought under the first key together: only then may an older key go."""

from __future__ import annotations

from accounts.sign_in import second_factors
from logs.content import contents
from routescope import encryption


def rotate() -> tuple[int, int]:
    """Re-encrypt contents, secret fields and second factors; return how many, and how many no key fits."""
    results = [contents.rotate(), encryption.rotate_fields(), second_factors.rotate()]
    return sum(done for done, _ in results), sum(lost for _, lost in results)
