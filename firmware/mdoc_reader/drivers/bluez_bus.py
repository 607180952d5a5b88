"""One connection to the system's message bus: bounded calls to bluetoothd, its signals, and objects of ours it calls.

D-Bus specification, message protocol. Plain messages, without introspection or proxies: every call that is made is a
call that was meant, and all of them are counted.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Self

from dbus_fast import BusType, Message, MessageFlag, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, DBusError, InvalidAddressError

from mdoc_reader.transport.ports import LinkCode, LinkError
from mdoc_reader.transport.tasks import to_its_end

log = logging.getLogger(__name__)

BLUEZ = "org.bluez"
PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECT_MANAGER = "org.freedesktop.DBus.ObjectManager"

CALL_S = 5.0
"""How long bluetoothd may take to answer a call that needs no phone."""
_CONNECT_S = 5.0
_BUS = "org.freedesktop.DBus"
_BUS_PATH = "/org/freedesktop/DBus"

# What bluetoothd says beside an error's name is a word or two of its own; anything else stays out of the log.
_HARMLESS = re.compile(r"[A-Za-z0-9 .,:()'-]{1,80}")

Handler = Callable[[Message], Message | None]
"""Answers a call, or returns None and replies later."""


class CallFailed(LinkError):  # noqa: N818 -- it says what happened to the call
    """A call was refused, or not answered in time. `name` is the D-Bus error's, empty where no answer came."""

    def __init__(self, code: LinkCode, member: str, name: str, text: str) -> None:
        """Keep what refused it; `text` is bluetoothd's own."""
        self.name = name
        told = f": {text}" if _HARMLESS.fullmatch(text) else ""
        super().__init__(code, f"{member}: {name.rpartition('.')[2] or 'no answer in time'}{told}")

    @property
    def timed_out(self) -> bool:
        """Whether no answer came at all."""
        return not self.name


class Bus:
    """A connection to the bus; `gone` is done once it has ended. Made by `open`."""

    def __init__(self, connection: MessageBus) -> None:
        """Take over a fresh connection."""
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.owner = ""
        """The unique name of the bluetoothd that runs now; calls and signals of nobody else are believed."""
        self.calls: Counter[str] = Counter()
        """How many calls were made, by member; those bluetoothd made to us as `<Member`."""
        self._connection = connection
        self._answers: dict[int, asyncio.Future[Message]] = {}
        self._listeners: list[Callable[[Message], None]] = []
        self._objects: dict[str, Handler] = {}
        connection.add_message_handler(self._on_message)
        self._end = asyncio.ensure_future(self._see_its_end())

    @classmethod
    async def open(cls) -> Self:
        """Connect to the system bus. Raises LinkError RADIO_OFF."""
        try:
            async with asyncio.timeout(_CONNECT_S):
                connection = await MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True).connect()
        except (OSError, EOFError, TimeoutError, AuthError, DBusError, InvalidAddressError) as error:
            raise LinkError(LinkCode.RADIO_OFF, f"no message bus: {type(error).__name__}") from error
        return cls(connection)

    async def call(
        self,
        path: str,
        interface: str,
        member: str,
        signature: str = "",
        body: Iterable[object] = (),
        *,
        seconds: float = CALL_S,
        failure: LinkCode = LinkCode.RADIO_OFF,
    ) -> list[Any]:
        """Call bluetoothd and return the answer's body, file descriptors in the place of their indices.

        Raises CallFailed with `failure`, or RADIO_OFF where the bus is gone. The call itself goes on when the caller
        is cancelled; descriptors that come too late are closed.
        """
        message = Message(
            destination=BLUEZ, path=path, interface=interface, member=member, signature=signature, body=list(body)
        )
        return await self._call(message, seconds, failure)

    async def call_bus(self, member: str, signature: str, *body: object) -> list[Any]:
        """Call the bus itself. Raises CallFailed."""
        message = Message(
            destination=_BUS, path=_BUS_PATH, interface=_BUS, member=member, signature=signature, body=list(body)
        )
        return await self._call(message, CALL_S, LinkCode.RADIO_OFF)

    async def _call(self, message: Message, seconds: float, failure: LinkCode) -> list[Any]:
        if self.gone.done():
            raise LinkError(LinkCode.RADIO_OFF, "the message bus is gone")
        # Never started by the bus on our account: where bluetoothd does not run, that answers only after 25 seconds.
        message.flags = MessageFlag.NO_AUTOSTART
        message.serial = self._connection.next_serial()
        member = str(message.member)
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._answers[message.serial] = answer
        self.calls[member] += 1
        self._send(message)
        either: set[asyncio.Future[Any]] = {answer, self.gone}
        taken = False
        try:
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            taken = answer.done()
        finally:
            if not taken:
                answer.add_done_callback(_drop)
        if not taken:
            if self.gone.done():
                raise LinkError(LinkCode.RADIO_OFF, "the message bus is gone")
            raise CallFailed(failure, member, "", "")
        reply = answer.result()
        if reply.message_type is MessageType.ERROR:
            text = reply.body[0] if reply.body and isinstance(reply.body[0], str) else ""
            raise CallFailed(failure, member, str(reply.error_name), text)
        return _with_descriptors(reply)

    async def watch(self, rule: str) -> None:
        """Have the bus deliver the signals that match. Raises CallFailed."""
        await self.call_bus("AddMatch", "s", rule)

    def listen(self, listener: Callable[[Message], None]) -> Callable[[], None]:
        """Hear signals; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def export(self, root: str, handler: Handler) -> None:
        """Let bluetoothd call the object `root` and those below it. `handler` answers, or replies later itself."""
        self._objects[root] = handler

    def unexport(self, root: str) -> None:
        """Take the objects away."""
        self._objects.pop(root, None)

    def reply(self, reply: Message) -> None:
        """Answer a call whose answer took a while."""
        if not self.gone.done():
            self._send(reply)

    def reply_with_descriptor(self, call: Message, signature: str, body: list[Any], descriptor: int) -> None:
        """Answer a call with a file descriptor (index 0), and close ours once the answer is out."""
        reply = Message.new_method_return(call, signature, body, [descriptor])
        self._send(reply).add_done_callback(lambda _: os.close(descriptor))

    def _send(self, message: Message) -> asyncio.Future[Any]:
        sent: asyncio.Future[Any] = self._connection.send(message)
        sent.add_done_callback(_looked_at)
        return sent

    async def close(self) -> None:
        """Leave the bus; bluetoothd then drops whatever we had registered. Never raises."""
        if not self.gone.done():
            self._connection.disconnect()
        await to_its_end(_ended(self._end))

    async def _see_its_end(self) -> None:
        end = asyncio.ensure_future(self._connection.wait_for_disconnect())  # type: ignore[no-untyped-call]
        await asyncio.wait({end})
        end.exception()  # whatever ended it
        self._answers.clear()
        self._objects.clear()
        self.gone.set_result(None)

    def _on_message(self, message: Message) -> Message | bool | None:
        kind = message.message_type
        if kind is MessageType.METHOD_CALL:
            return self._on_call(message)
        if kind is MessageType.SIGNAL:
            if message.sender in {self.owner, _BUS}:
                for listener in tuple(self._listeners):
                    listener(message)
            return None
        answer = self._answers.pop(message.reply_serial, None)
        if answer is None:
            return None
        if not answer.done():
            answer.set_result(message)
        return True

    def _on_call(self, message: Message) -> Message | bool | None:
        path = message.path or ""
        for root, handler in self._objects.items():
            if path == root or path.startswith(root + "/"):
                if message.sender != self.owner:
                    return Message.new_error(message, "org.freedesktop.DBus.Error.AccessDenied", "not for you")
                self.calls[f"<{message.member}"] += 1
                return handler(message) or True
        return None


def _with_descriptors(reply: Message) -> list[Any]:
    """Put each descriptor in the place of its index: `h` appears at the top level of bluetoothd's answers alone."""
    if not reply.unix_fds:
        return list(reply.body)
    kinds = [each.signature for each in reply.signature_tree.types]
    return [reply.unix_fds[value] if kind == "h" else value for kind, value in zip(kinds, reply.body, strict=True)]


def _drop(answer: asyncio.Future[Message]) -> None:
    if not answer.cancelled():
        for descriptor in answer.result().unix_fds:
            os.close(descriptor)


def _looked_at(sent: asyncio.Future[Any]) -> None:
    if not sent.cancelled():
        sent.exception()


async def _ended(task: asyncio.Task[None]) -> None:
    await asyncio.wait({task}, timeout=CALL_S)
