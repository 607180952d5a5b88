"""Ephemeral reader keys made ahead of the tap: one fresh key for each presentation, on the phone's curve."""

from __future__ import annotations

from mdoc_reader.mdoc.keys import CURVES_BY_NAME, AgreementPrivateKey, Curve, generate_agreement_key


class KeyPool:
    """A few unused keys of the curve nearly every phone uses; other curves are made when asked for."""

    def __init__(self, curve_name: str = "P-256", size: int = 2) -> None:
        """Fill the pool."""
        self._curve = CURVES_BY_NAME[curve_name]
        self._size = size
        self._ready: list[AgreementPrivateKey] = []
        self.refill()

    def take(self, curve: Curve) -> AgreementPrivateKey:
        """Return a key never handed out before. Raises Malformed(UNSUPPORTED) for a curve without key agreement."""
        if curve is self._curve and self._ready:
            return self._ready.pop()
        return generate_agreement_key(curve)

    def refill(self) -> None:
        """Make up for what was taken; to be called between presentations."""
        while len(self._ready) < self._size:
            self._ready.append(generate_agreement_key(self._curve))
