"""Hardware drivers: the only room that imports a hardware library. Loaded by name from the configuration, by app alone.

A driver module has three names: `SIMULATED` (bool), `Options` (a msgspec.Struct that refuses unknown keys) and one
opener of its kind, taking the options:

    open_camera(options) -> engagement.ports.Camera          (blocking; called on the camera's owner thread)
    open_decoder(options) -> engagement.ports.Decoder
    async open_bluetooth(options) -> transport.ports.BleRadio
    open_pins(options) -> outputs.ports.Pins
    open_display(options) -> outputs.ports.Display           (blocking; called on the display's owner thread)

Path-like options may begin with `{runtime}` or `{state}`; app replaces these before the driver sees them.
An opener raises OSError when the hardware is not there.
"""
