"""Whether a text is whole as Bech32 (BIP 173), the form of age's public keys.

A typing error in a recipient must be found where it is written, and not when nobody can decrypt.
"""

from __future__ import annotations

_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def is_bech32(text: str, prefix: str) -> bool:
    """Whether ``text`` is ``<prefix>1…`` in lower case with a checksum that fits."""
    head, separator, data = text.rpartition("1")
    if head != prefix or not separator or not set(data) <= set(_LETTERS):
        return False
    values = [ord(letter) >> 5 for letter in prefix] + [0]
    values += [ord(letter) & 31 for letter in prefix]
    return _polymod([*values, *map(_LETTERS.index, data)]) == 1


def _polymod(values: list[int]) -> int:
    total = 1
    for value in values:
        top = total >> 25
        total = (total & 0x1FFFFFF) << 5 ^ value
        for number, generator in enumerate(_GENERATOR):
            if top >> number & 1:
                total ^= generator
    return total
