"""The pen's program: Ctrl-C out of action, every file checked, then the app. Runs on the pen, as source.

Whatever ends it, an error or an exit of any kind, takes the driver off and resets the chip; the REPL is never reached.
With the service button held at power-up nothing of this happens, and the REPL is open: that is how firmware is put on.

Files that don't fit the manifest make the pen reset for ever, dark, with the driver off. Allocates a piece of 512 bytes
and the manifest's names.
"""

import micropython

micropython.kbd_intr(-1)

MANIFEST = "/manifest.txt"
_PIECE = 512
_CTRL_C = 3
_BUILD_DIGITS = 16
_COLLECT_EVERY = 16_384
_FOLDER = 0x4000
_CODE = (".py", ".mpy")


def digest(path: str) -> str:
    """Return a file's SHA-256 as hex digits."""
    import binascii
    import hashlib

    sha256 = hashlib.sha256()
    piece = bytearray(_PIECE)
    view = memoryview(piece)
    with open(path, "rb") as file:
        count = file.readinto(piece)
        while count:
            sha256.update(view[:count])
            count = file.readinto(piece)
    return binascii.hexlify(sha256.digest()).decode()


def code(folder: str = "") -> "list[str]":
    """Return the paths of all files that may be imported, by way of folders below `folder` ("" or "name/")."""
    import os

    found = []
    for entry in os.ilistdir("/" + folder):
        path = folder + entry[0]
        if entry[1] == _FOLDER:
            found += code(path + "/")
        elif path.endswith(_CODE):
            found.append(path)
    return found


def verified() -> str:
    """Return the build's 16 hex digits; ValueError unless each file is the manifest's and there is no other code."""
    import binascii
    import hashlib

    strangers = code()
    # The build is the digest of all lines before it, so that no line can be missing.
    lines = hashlib.sha256()
    with open(MANIFEST, "rb") as manifest:
        for line in manifest:
            wanted, path = line.decode().split()
            if wanted == "build":
                if strangers or binascii.hexlify(lines.digest()).decode()[:_BUILD_DIGITS] != path:
                    raise ValueError("build")
                return path
            lines.update(line)
            if digest("/" + path) != wanted:
                raise ValueError(path)
            if path in strangers:
                strangers.remove(path)
    raise ValueError("build")


def run() -> None:
    """Check the files, be a pen."""
    import gc

    # What is left over from loading a file must not lie between what stays: a stroke table wants one piece of memory.
    gc.threshold(_COLLECT_EVERY)
    build = verified()
    from pendevice import app

    app.run(build)


serving = False
try:
    import boot

    serving = boot.service_held()
    if serving:
        micropython.kbd_intr(_CTRL_C)
    else:
        run()
finally:
    if not serving:
        import machine

        try:
            boot.outputs_off()
        finally:
            machine.reset()
