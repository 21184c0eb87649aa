"""Calls the service as every caller should: by its service config, and by what its refusals say."""

import os
import time
from pathlib import Path

import grpc
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from grpc_status import rpc_status

ADDRESS = os.environ.get("ACCOUNTS_ADDRESS", "127.0.0.1:50051")
PROTO = Path(__file__).parents[2] / "proto/instagram/accounts/v1"
# Timeouts of the calls, and which of them gRPC itself makes again.
SERVICE_CONFIG = PROTO / "service_config.json"
# Maximum number of tries of a call, and maximum seconds between two, when the service says when to
# come back.
ATTEMPTS, MAX_RETRY_DELAY = 3, 10
# Maximum milliseconds that gRPC waits before it connects again.
MAX_RECONNECT_DELAY = 2_000


def connect() -> grpc.Channel:
    """Connects to the service, once something is called."""
    options = [
        ("grpc.service_config", SERVICE_CONFIG.read_text()),
        ("grpc.max_reconnect_backoff_ms", MAX_RECONNECT_DELAY),
    ]
    # In production grpc.secure_channel, and your bearer by grpc.access_token_call_credentials.
    return grpc.insecure_channel(ADDRESS, options)


def call(method, request):
    """Makes one call, and again when the service says after which time that may help."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return method(request)
        except grpc.RpcError as error:
            delay = retry_delay(error)
            if delay is None or attempt == ATTEMPTS or delay > MAX_RETRY_DELAY:
                raise
            time.sleep(delay)


def reason(error: grpc.RpcError) -> str:
    """The stable reason of a refused call; empty for the transport's own errors."""
    info = detail(error, ErrorInfo)
    return info.reason if info else ""


def retry_delay(error: grpc.RpcError) -> float | None:
    """The seconds after which the same call may help, where the service says so."""
    retry = detail(error, RetryInfo)
    return retry.retry_delay.ToTimedelta().total_seconds() if retry else None


def explain(error: grpc.RpcError) -> str:
    """The stable reason, the message, and what goes with them."""
    info = detail(error, ErrorInfo) or ErrorInfo(reason=error.code().name)
    return f"{info.reason}: {error.details()} {dict(info.metadata)}"


def detail(error: grpc.RpcError, kind):
    """What of this kind goes with the status of a refused call, if anything."""
    status = rpc_status.from_call(error)
    for packed in status.details if status else ():
        found = kind()
        if packed.Unpack(found):
            return found
    return None
