// Follows what happens to all accounts: lists them, then prints each event once, through restarts of the service and
// of itself. The service keeps its progress under the name of a consumer, the argument.

import { setTimeout as sleep } from "node:timers/promises";
import { type ClientReadableStream, type ServiceError, status } from "@grpc/grpc-js";

import { call, connect, explain, reason, retryDelay } from "./accounts.js";
import { type Event, EventKind } from "./gen/instagram/accounts/v1/account_event.js";
import {
  CommitWatchRequest, type CommitWatchResponse, type InstagramAccountServiceClient, ListRequest, type ListResponse,
  WatchRequest, type WatchResponse,
} from "./gen/instagram/accounts/v1/instagram_account_service.js";

// Back-off in milliseconds before the next stream: it doubles with each stream that ends before it was healthy.
const minDelay = 200;
const maxDelay = 10_000;
// Milliseconds that a stream must last to be healthy. A first message alone is no sign of health: it comes at once.
const healthyAfter = 30_000;
// Maximum milliseconds without a message. The service sends one at least every 15 seconds.
const maxSilence = 20_000;
// Refusals that no further try can help.
const final = [status.INVALID_ARGUMENT, status.PERMISSION_DENIED, status.UNAUTHENTICATED];
// Kinds that this version has no name for.
const unknown = [EventKind.UNRECOGNIZED, EventKind.EVENT_KIND_UNSPECIFIED];

// A named consumer of the events.
class Follower {
  // Whether all accounts are to be listed before the next stream.
  private expired = false;
  // Where they were listed, until a stream has begun there. From then on the service knows where to go on.
  private listed?: string;
  // Number of streams that ended since the last healthy one.
  private failures = 0;
  // Ids of the events that were handled since the last commit: they may come again.
  private readonly handled = new Set<string>();

  constructor(private readonly service: InstagramAccountServiceClient, private readonly consumer: string) {}

  // Opens one stream after the other; throws when another one cannot help.
  async follow(): Promise<never> {
    for (; ; this.failures++) {
      let delay = 0;
      try {
        if (this.expired) await this.list();
        await this.watch();
      } catch (error) {
        if (final.includes((error as ServiceError).code)) throw error;
        this.expired ||= reason(error) === "CURSOR_EXPIRED";
        console.error(`${explain(error)}; ${this.expired ? "listing all accounts" : "going on"}`);
        delay = retryDelay(error) ?? delay;
      }
      await sleep(Math.max(delay, this.backoff()));
    }
  }

  // Milliseconds, of which half are chance: nobody comes back at the same moment.
  private backoff(): number {
    const span = Math.min(maxDelay, minDelay * 2 ** this.failures);
    return (span / 2) * (1 + Math.random());
  }

  // Reads all accounts. The cursor is older than the first page, so no change between list and stream is missed.
  private async list(): Promise<void> {
    let cursor = "";
    let pageToken = "";
    do {
      const request = ListRequest.create({ pageToken });
      const page = await call<ListResponse>((...how) => this.service.list(request, ...how));
      cursor ||= page.watchCursor;
      // In a product: put each into your copy. What your copy has and no page shows is gone.
      for (const { accountId, revision } of page.accounts) console.log("LISTED", accountId, "-", revision);
      pageToken = page.nextPageToken;
    } while (pageToken);
    this.listed = cursor;
    this.expired = false;
  }

  // Takes one stream's messages. A cursor is committed once all before it is handled.
  private async watch(): Promise<void> {
    const { consumer } = this;
    const begun = Date.now();
    const stream = this.service.watch(WatchRequest.create({ consumer, after: this.listed }));
    for await (const { cursor, events } of messages(stream)) {
      if (Date.now() - begun >= healthyAfter) this.failures = 0;
      // A heartbeat while another instance holds the consumer.
      if (!cursor) continue;
      this.listed = undefined;
      events.forEach((event) => this.handle(event));
      if (events.length === 0) continue;
      const done = CommitWatchRequest.create({ consumer, cursor });
      await call<CommitWatchResponse>((...how) => this.service.commitWatch(done, ...how));
      this.handled.clear();
    }
  }

  // Prints an event once. In a product its id is stored with what it causes: this memory ends with the process.
  private handle({ kind, accountId, eventId, revision }: Event): void {
    if (unknown.includes(kind) || this.handled.has(eventId)) return;
    console.log(kind.replace("EVENT_KIND_", ""), accountId, eventId, revision);
    this.handled.add(eventId);
  }
}

// A stream's messages, until none has come for too long.
async function* messages(stream: ClientReadableStream<WatchResponse>): AsyncGenerator<WatchResponse> {
  const iterator = stream[Symbol.asyncIterator]();
  try {
    for (;;) {
      const silence = setTimeout(() => stream.cancel(), maxSilence);
      const { done, value } = await iterator.next().finally(() => clearTimeout(silence));
      if (done) return;
      yield value;
    }
  } finally {
    stream.cancel();
  }
}

const service = connect();
try {
  await new Follower(service, process.argv[2] ?? "typescript-example").follow();
} catch (error) {
  console.error(explain(error));
  process.exitCode = 1;
} finally {
  service.close();
}
