"""Opening streams of bytes, and what clients send into them."""

from __future__ import annotations

from swarmd.api.call import Call, handles
from swarmd.api.encoding import from_base64
from swarmd.api.replying import Opened
from swarmd.api.streams import SessionStream, UploadStream
from swarmd.messages.replies import Closed, StreamOpened, Written
from swarmd.messages.requests import (
    CloseStream,
    ExecInstance,
    ExportInstance,
    LogsInstance,
    OpenUpload,
    UnsubscribeEvents,
    WriteStream,
)
from swarmd.ports import Session


def _open(
    call: Call, session: Session, *, as_bytes: bool = False, takes_input: bool = False
) -> Opened:
    try:
        stream = call.link.streams.add(
            lambda stream_id: SessionStream(
                stream_id,
                call.link,
                call.services,
                call.caller.correlation,
                session,
                as_bytes=as_bytes,
                takes_input=takes_input,
            )
        )
    except Exception:
        call.services.closers.submit(session.close)
        raise
    return Opened(stream, StreamOpened(stream=stream.id))


@handles(LogsInstance)
async def logs(call: Call, request: LogsInstance) -> Opened:
    """``instance.logs``."""
    return _open(call, await call.commands.open_logs(call.caller, request))


@handles(ExecInstance)
async def execute(call: Call, request: ExecInstance) -> Opened:
    """``instance.exec``."""
    session = await call.commands.open_exec(call.caller, request)
    return _open(call, session, takes_input=request.stdin)


@handles(ExportInstance)
async def export(call: Call, request: ExportInstance) -> Opened:
    """``instance.export``."""
    return _open(call, await call.commands.open_export(call.caller, request.id), as_bytes=True)


@handles(OpenUpload)
async def open_upload(call: Call, request: OpenUpload) -> Opened:  # noqa: ARG001
    """``upload.open``."""
    upload = await call.commands.open_upload(call.caller)
    try:
        stream = call.link.streams.add(
            lambda stream_id: UploadStream(stream_id, call.link, call.services, upload)
        )
    except Exception:
        call.services.closers.submit(upload.abort)
        raise
    return Opened(stream, StreamOpened(stream=stream.id))


@handles(WriteStream)
async def write(call: Call, request: WriteStream) -> Written:
    """``stream.write``: answered once the bytes were taken, so that nothing piles up."""
    stream = call.link.streams.find(request.stream)
    written: Written = await stream.write(
        from_base64(request.data_b64, "data_b64"), end=request.end
    )
    return written


@handles(CloseStream, UnsubscribeEvents)
async def close(call: Call, request: CloseStream | UnsubscribeEvents) -> Closed:
    """``stream.close`` and ``events.unsubscribe``: false if it had ended already."""
    stream = call.link.streams.get(request.stream)
    if stream is None:
        return Closed(closed=False)
    stream.close()
    return Closed(closed=True)
