"""A headless ISO/IEC 18013-5 mdoc reader for Raspberry Pi-class hardware."""
