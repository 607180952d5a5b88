"""gpiozero on lgpio, without the blip: an output's line is claimed at the level it is meant to have.

gpiozero's own factory claims every line as an input first, then as an output that is low, and writes the level after
that. A relay that is energised by a low level, or at rest, would be moved at every start, and one that the kernel kept
driven since the last process would be let go of. Nothing is claimed here before it is known as what.
"""

from __future__ import annotations

from typing import Any

import lgpio
from gpiozero.pins.lgpio import LGPIOFactory, LGPIOPin
from gpiozero.pins.local import LocalPiPin

_CLAIMED = LGPIOPin.GPIO_IS_LG_INPUT | LGPIOPin.GPIO_IS_LG_OUTPUT | LGPIOPin.GPIO_IS_LG_ALERT


class SteadyPin(LGPIOPin):  # type: ignore[misc]  # gpiozero carries no types
    """A pin that is claimed once, when it is known whether it is an input or an output at which level."""

    def __init__(self, factory: Any, info: Any) -> None:
        """Claim nothing yet."""
        LocalPiPin.__init__(self, factory, info)
        self._pwm: tuple[float, int] | None = None
        self._bounce: int | None = None
        self._callback: Any = None
        self._edges = lgpio.BOTH_EDGES

    def output_with_state(self, state: Any) -> None:
        """Claim the line as an output at a level. Raises lgpio.error."""
        lgpio.gpio_claim_output(self.factory._handle, self._number, int(bool(state)))

    def close(self) -> None:
        """Let go of the line as it is: what becomes of it is the kernel's to say. May be repeated."""
        chip = self.factory._handle
        if chip is not None and lgpio.gpio_get_mode(chip, self._number) & _CLAIMED:
            lgpio.gpio_free(chip, self._number)


class SteadyFactory(LGPIOFactory):  # type: ignore[misc]
    """The factory of such pins."""

    def __init__(self, chip: int | None = None) -> None:
        """Open the chip. Raises lgpio.error."""
        super().__init__(chip)
        self.pin_class = SteadyPin
