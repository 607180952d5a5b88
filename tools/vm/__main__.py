"""`python -m vm build RELEASE [ARCH [FLAVOUR]]`, from tools/: make a guest's image ahead of time."""

from __future__ import annotations

import sys

from vm.cache import GuestError
from vm.image import ARCHS, DISTS, FLAVOURS, build


def main() -> int:
    """Build what is named; print where it is."""
    arguments = sys.argv[1:]
    if len(arguments) not in (2, 3, 4) or arguments[0] != "build" or arguments[1] not in DISTS:
        print(
            f"usage: python -m vm build {'|'.join(DISTS)} [{'|'.join(ARCHS)} [{'|'.join(FLAVOURS)}]]", file=sys.stderr
        )
        return 2
    try:
        image = build(*arguments[1:])
    except GuestError as error:
        print(error, file=sys.stderr)
        return 1
    print(image.root.parent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
