"""Follows what happens to all accounts.

Lists them, then prints each event once, through restarts of the service and of itself. The service
keeps its progress under the name of a consumer, the argument.
"""

import random
import sys
import threading
import time

import grpc

from accounts import call, connect, explain, reason, retry_delay
from instagram.accounts.v1 import instagram_account_service_pb2 as pb
from instagram.accounts.v1.account_event_pb2 import EVENT_KIND_UNSPECIFIED, Event, EventKind
from instagram.accounts.v1.instagram_account_service_pb2_grpc import InstagramAccountServiceStub

# Back-off in seconds before the next stream: it doubles with each stream that ends before it was
# healthy.
MIN_DELAY, MAX_DELAY = 0.2, 10
# Seconds that a stream must last to be healthy. A first message alone is no sign of health: it
# comes at once.
HEALTHY_AFTER = 30
# Maximum seconds without a message. The service sends one at least every 15 seconds.
MAX_SILENCE = 20
# Refusals that no further try can help.
FINAL = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
}


class Follower:
    """A named consumer of the events."""

    def __init__(self, service: InstagramAccountServiceStub, consumer: str):
        self.service = service
        self.consumer = consumer
        # Whether all accounts are to be listed before the next stream.
        self.expired = False
        # Where they were listed, until a stream has begun there. From then on the service knows
        # where to go on.
        self.listed: str | None = None
        # Number of streams that ended since the last healthy one.
        self.failures = 0
        # Ids of the events that were handled since the last commit: they may come again.
        self.handled: set[str] = set()

    def follow(self) -> None:
        """Opens one stream after the other; raises when another one cannot help."""
        while True:
            delay = 0.0
            try:
                if self.expired:
                    self.list_accounts()
                self.watch()
            except grpc.RpcError as error:
                if error.code() in FINAL:
                    raise
                self.expired = self.expired or reason(error) == "CURSOR_EXPIRED"
                note(f"{explain(error)}; {'listing all accounts' if self.expired else 'going on'}")
                delay = retry_delay(error) or delay
            time.sleep(max(delay, self.backoff()))
            self.failures += 1

    def backoff(self) -> float:
        """Seconds, of which half are chance: nobody comes back at the same moment."""
        span = min(MAX_DELAY, MIN_DELAY * 2 ** min(self.failures, 10))
        return random.uniform(span / 2, span)

    def list_accounts(self) -> None:
        """Reads all accounts.

        The cursor is older than the first page, so no change between list and stream is missed.
        """
        request, cursor = pb.ListRequest(), ""
        while True:
            page = call(self.service.List, request)
            cursor = cursor or page.watch_cursor
            for account in page.accounts:
                # In a product: put it into your copy. What your copy has and no page shows is gone.
                print("LISTED", account.account_id, "-", account.revision, flush=True)
            request.page_token = page.next_page_token
            if not request.page_token:
                break
        self.listed, self.expired = cursor, False

    def watch(self) -> None:
        """Takes one stream's messages. A cursor is committed once all before it is handled."""
        request = pb.WatchRequest(consumer=self.consumer, after=self.listed)
        begun = time.monotonic()
        for message in messages(self.service.Watch(request)):
            if time.monotonic() - begun >= HEALTHY_AFTER:
                self.failures = 0
            if not message.cursor:
                # A heartbeat while another instance holds the consumer.
                continue
            self.listed = None
            for event in message.events:
                self.handle(event)
            if message.events:
                done = pb.CommitWatchRequest(consumer=self.consumer, cursor=message.cursor)
                call(self.service.CommitWatch, done)
                self.handled.clear()

    def handle(self, event: Event) -> None:
        """Prints an event once.

        In a product its id is stored with what it causes: this memory ends with the process.
        """
        known = event.kind in EventKind.values() and event.kind != EVENT_KIND_UNSPECIFIED
        if not known or event.event_id in self.handled:
            return
        kind = EventKind.Name(event.kind).removeprefix("EVENT_KIND_")
        print(kind, event.account_id, event.event_id, event.revision, flush=True)
        self.handled.add(event.event_id)


def messages(stream):
    """A stream's messages, until none has come for too long."""
    try:
        while True:
            silence = threading.Timer(MAX_SILENCE, stream.cancel)
            silence.start()
            try:
                message = next(stream, None)
            finally:
                silence.cancel()
            if message is None:
                return
            yield message
    finally:
        stream.cancel()


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: list[str]) -> None:
    consumer = arguments[0] if arguments else "python-example"
    with connect() as channel:
        Follower(InstagramAccountServiceStub(channel), consumer).follow()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except grpc.RpcError as error:
        sys.exit(explain(error))
    except KeyboardInterrupt:
        pass
