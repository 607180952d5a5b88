"""How messages travel: Bluetooth Low Energy in either role, and later NFC. One Link whatever the carrier."""
