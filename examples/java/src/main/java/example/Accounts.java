package example;

import com.google.gson.Gson;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.rpc.ErrorInfo;
import com.google.rpc.RetryInfo;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusException;
import io.grpc.protobuf.StatusProto;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;

/** Calls the service as every caller should: by its service config, and by what its refusals say. */
final class Accounts {
  /** Maximum number of tries of a call, when the service says when to come back. */
  private static final int ATTEMPTS = 3;
  /** Maximum time between two tries. */
  private static final Duration MAX_RETRY_DELAY = Duration.ofSeconds(10);

  private Accounts() {}

  /** A call that may be refused. */
  interface Call<Answer> {
    Answer send() throws StatusException;
  }

  /** Connects to the service at ACCOUNTS_ADDRESS, once something is called. */
  static ManagedChannel connect() {
    // In production TlsChannelCredentials, and your bearer by CallCredentials on the stub.
    var insecure = InsecureChannelCredentials.create();
    return Grpc.newChannelBuilder(env("ACCOUNTS_ADDRESS", "127.0.0.1:50051"), insecure)
        .defaultServiceConfig(serviceConfig())
        .build();
  }

  /** Timeouts of the calls, and which of them gRPC itself makes again. */
  @SuppressWarnings("unchecked")
  private static Map<String, ?> serviceConfig() {
    var file = Accounts.class.getResourceAsStream("/service_config.json");
    try (Reader reader = new InputStreamReader(file, StandardCharsets.UTF_8)) {
      return new Gson().fromJson(reader, Map.class);
    } catch (IOException unreadable) {
      throw new UncheckedIOException(unreadable);
    }
  }

  /** Makes one call, and again when the service says after which time that may help. */
  static <Answer> Answer call(Call<Answer> call) throws StatusException, InterruptedException {
    for (int attempt = 1; ; attempt++) {
      try {
        return call.send();
      } catch (StatusException refusal) {
        var delay = retryDelay(refusal);
        if (attempt == ATTEMPTS || delay.isZero() || delay.compareTo(MAX_RETRY_DELAY) > 0) {
          throw refusal;
        }
        Thread.sleep(delay.toMillis());
      }
    }
  }

  /** The stable reason of a refused call; empty for the transport's own errors. */
  static String reason(StatusException refusal) {
    return detail(refusal, ErrorInfo.class).map(ErrorInfo::getReason).orElse("");
  }

  /** The time after which the same call may help; zero where the service does not say so. */
  static Duration retryDelay(StatusException refusal) {
    var delay = detail(refusal, RetryInfo.class).map(RetryInfo::getRetryDelay);
    return delay.map(d -> Duration.ofSeconds(d.getSeconds(), d.getNanos())).orElse(Duration.ZERO);
  }

  /** The stable reason first, and what goes with it last. */
  static String explain(StatusException refusal) {
    var info = detail(refusal, ErrorInfo.class);
    var text = refusal.getMessage();
    return info.map(i -> i.getReason() + ": " + text + " " + i.getMetadataMap()).orElse(text);
  }

  /** What of this kind goes with the status of a refused call, if anything. */
  private static <D extends Message> Optional<D> detail(StatusException refusal, Class<D> kind) {
    try {
      for (Any packed : StatusProto.fromThrowable(refusal).getDetailsList()) {
        if (packed.is(kind)) {
          return Optional.of(packed.unpack(kind));
        }
      }
    } catch (InvalidProtocolBufferException unreadable) {
      // As good as none.
    }
    return Optional.empty();
  }

  static String env(String name, String fallback) {
    var value = System.getenv(name);
    return value == null || value.isEmpty() ? fallback : value;
  }
}
