"""What we believe and until when: trust anchors."""
