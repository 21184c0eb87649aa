package example;

import static java.util.concurrent.TimeUnit.SECONDS;

import instagram.accounts.v1.CommitWatchRequest;
import instagram.accounts.v1.Event;
import instagram.accounts.v1.EventKind;
import instagram.accounts.v1.InstagramAccountServiceGrpc;
import instagram.accounts.v1.InstagramAccountServiceGrpc.InstagramAccountServiceBlockingV2Stub;
import instagram.accounts.v1.ListRequest;
import instagram.accounts.v1.WatchRequest;
import io.grpc.ManagedChannel;
import io.grpc.Status;
import io.grpc.StatusException;
import java.time.Duration;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeoutException;

/**
 * Follows what happens to all accounts: lists them, then prints each event once, through restarts of the service and
 * of itself. The service keeps its progress under the name of a consumer, the argument.
 */
final class Watch {
  /** Back-off before the next stream: it doubles with each stream that ends before it was healthy. */
  private static final Duration MIN_DELAY = Duration.ofMillis(200);
  private static final Duration MAX_DELAY = Duration.ofSeconds(10);
  /** Time that a stream must last to be healthy. A first message alone is no sign of health: it comes at once. */
  private static final Duration HEALTHY_AFTER = Duration.ofSeconds(30);
  /** Maximum seconds without a message. The service sends one at least every 15 seconds. */
  private static final int MAX_SILENCE = 20;
  /** Refusals that no further try can help. */
  private static final Set<Status.Code> FINAL = EnumSet.of(
      Status.Code.INVALID_ARGUMENT, Status.Code.PERMISSION_DENIED, Status.Code.UNAUTHENTICATED);

  private final ManagedChannel channel;
  private final InstagramAccountServiceBlockingV2Stub service;
  private final String consumer;
  /** Whether all accounts are to be listed before the next stream. */
  private boolean expired;
  /** Where they were listed, until a stream has begun there. From then on the service knows where to go on. */
  private String listed = "";
  /** Number of streams that ended since the last healthy one. */
  private int failures;
  /** Ids of the events that were handled since the last commit: they may come again. */
  private final Set<String> handled = new HashSet<>();

  private Watch(ManagedChannel channel, String consumer) {
    this.channel = channel;
    this.service = InstagramAccountServiceGrpc.newBlockingV2Stub(channel);
    this.consumer = consumer;
  }

  public static void main(String[] arguments) throws InterruptedException {
    var channel = Accounts.connect();
    try {
      new Watch(channel, arguments.length > 0 ? arguments[0] : "java-example").follow();
    } catch (StatusException refusal) {
      System.err.println(Accounts.explain(refusal));
      System.exit(1);
    } finally {
      channel.shutdownNow();
    }
  }

  /** Opens one stream after the other; throws when another one cannot help. */
  private void follow() throws StatusException, InterruptedException {
    for (; ; failures++) {
      var delay = Duration.ZERO;
      try {
        if (expired) {
          list();
        }
        watch();
      } catch (StatusException refusal) {
        if (FINAL.contains(refusal.getStatus().getCode())) {
          throw refusal;
        }
        expired |= Accounts.reason(refusal).equals("CURSOR_EXPIRED");
        var then = expired ? "listing all accounts" : "going on";
        System.err.println(Accounts.explain(refusal) + "; " + then);
        delay = Accounts.retryDelay(refusal);
      }
      Thread.sleep(Math.max(delay.toMillis(), backoff()));
    }
  }

  /** Milliseconds, of which half are chance: nobody comes back at the same moment. */
  private long backoff() {
    var span = Math.min(MAX_DELAY.toMillis(), MIN_DELAY.toMillis() << Math.min(failures, 10));
    return span / 2 + ThreadLocalRandom.current().nextLong(span / 2);
  }

  /** Reads all accounts. The cursor is older than the first page, so no change between list and stream is missed. */
  private void list() throws StatusException, InterruptedException {
    var cursor = "";
    var pageToken = "";
    do {
      var request = ListRequest.newBuilder().setPageToken(pageToken).build();
      var page = Accounts.call(() -> service.list(request));
      cursor = cursor.isEmpty() ? page.getWatchCursor() : cursor;
      for (var account : page.getAccountsList()) {
        // In a product: put it into your copy. What your copy has and no page shows is gone.
        System.out.println("LISTED " + account.getAccountId() + " - " + account.getRevision());
      }
      pageToken = page.getNextPageToken();
    } while (!pageToken.isEmpty());
    listed = cursor;
    expired = false;
  }

  /** Takes one stream's messages until it ends. A cursor is committed once all before it is handled. */
  private void watch() throws StatusException, InterruptedException {
    // What gRPC itself would wait before it connects again is ours to choose.
    channel.resetConnectBackoff();
    var request = WatchRequest.newBuilder().setConsumer(consumer);
    if (!listed.isEmpty()) {
      request.setAfter(listed);
    }
    var begun = System.nanoTime();
    var stream = service.watch(request.build());
    try {
      for (var message = stream.read(MAX_SILENCE, SECONDS); message != null;
          message = stream.read(MAX_SILENCE, SECONDS)) {
        if (System.nanoTime() - begun >= HEALTHY_AFTER.toNanos()) {
          failures = 0;
        }
        var cursor = message.getCursor();
        if (cursor.isEmpty()) {
          // A heartbeat while another instance holds the consumer.
          continue;
        }
        listed = "";
        message.getEventsList().forEach(this::handle);
        if (message.getEventsCount() > 0) {
          var done = CommitWatchRequest.newBuilder().setConsumer(consumer).setCursor(cursor).build();
          Accounts.call(() -> service.commitWatch(done));
          handled.clear();
        }
      }
    } catch (TimeoutException silence) {
      throw Status.UNAVAILABLE.withDescription("the stream fell silent").asException();
    } finally {
      stream.cancel("done", null);
    }
  }

  /** Prints an event once. In a product its id is stored with what it causes: this memory ends with the process. */
  private void handle(Event event) {
    var kind = event.getKind();
    var known = kind != EventKind.UNRECOGNIZED && kind != EventKind.EVENT_KIND_UNSPECIFIED;
    if (known && handled.add(event.getEventId())) {
      var name = kind.name().substring("EVENT_KIND_".length());
      var ids = event.getAccountId() + " " + event.getEventId();
      System.out.println(name + " " + ids + " " + event.getRevision());
    }
  }
}
