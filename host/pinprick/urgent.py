"""A stop that waits for nothing, not even for the rest of the tool to be imported. Host only; imports little."""

from pencore.lines import STOP_BYTE
from pinprick.transport import SerialTransport


def opened_with_stop(port: str) -> SerialTransport:
    """Open `port`, send the stop byte before anything else, and return the way to whatever is there; NoDevice.

    What hears it may be no pen: the byte means nothing to a modem or a terminal.
    """
    transport = SerialTransport(port)
    try:
        transport.write(bytes((STOP_BYTE,)))
    except BaseException:
        transport.close()
        raise
    return transport
