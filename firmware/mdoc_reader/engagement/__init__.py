"""How a presentation begins: a QR code in front of the camera, a tap, or a code of ours that the phone scans."""
