package example;

import com.google.gson.Gson;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.protobuf.Duration;
import instagram.accounts.v1.BeginLinkRequest;
import instagram.accounts.v1.FetchAccessTokenRequest;
import instagram.accounts.v1.FetchAccessTokenResponse;
import instagram.accounts.v1.InstagramAccountServiceGrpc;
import instagram.accounts.v1.InstagramAccountServiceGrpc.InstagramAccountServiceBlockingV2Stub;
import instagram.accounts.v1.LinkRequest;
import instagram.accounts.v1.RefreshRequest;
import io.grpc.StatusException;
import java.io.IOException;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Collectors;

/**
 * Links an Instagram account, fetches its token, and publishes a picture with it. With an account id as argument the
 * link is skipped, as in a product, where it happens once.
 */
final class Publish {
  /** In production https://graph.instagram.com; the sandbox is the person's browser here, too. */
  private static final String SANDBOX = Accounts.env("SANDBOX_URL", "http://127.0.0.1:8090");
  private static final String PERSON = Accounts.env("SANDBOX_ACCOUNT", "mira.paints");
  private static final String PICTURE = Accounts.env("PICTURE_URL", "https://shop.example/bread.jpg");
  /** The account's owner in your system: a tenant, a shop. Give it in every call. */
  private static final String OWNER = "demo";
  private static final String SCOPE = "instagram_business_content_publish";
  /** Maximum time of one request to Instagram. */
  private static final java.time.Duration TIMEOUT = java.time.Duration.ofSeconds(20);
  /** Maximum number of looks at a picture that Instagram still processes, a second apart. */
  private static final int LOOKS = 60;

  /** Follows no redirect: where Instagram sends the browser is what we want to know. */
  private final HttpClient browser = HttpClient.newBuilder().connectTimeout(TIMEOUT).build();
  private final InstagramAccountServiceBlockingV2Stub service;

  private Publish(InstagramAccountServiceBlockingV2Stub service) {
    this.service = service;
  }

  /** Instagram answered a call with an error. */
  private static final class InstagramRefused extends IOException {
    final int code;

    InstagramRefused(JsonObject error) {
      super("Instagram refused with code " + error.get("code") + ": " + error.get("message"));
      code = error.get("code").getAsInt();
    }
  }

  public static void main(String[] arguments) throws InterruptedException {
    var channel = Accounts.connect();
    try {
      var publish = new Publish(InstagramAccountServiceGrpc.newBlockingV2Stub(channel));
      publish.run(arguments.length > 0 ? arguments[0] : publish.link());
    } catch (StatusException refusal) {
      fail(Accounts.explain(refusal));
    } catch (IOException failure) {
      fail(failure.getMessage());
    } finally {
      channel.shutdownNow();
    }
  }

  private static void fail(String text) {
    System.err.println(text);
    System.exit(1);
  }

  private void run(String accountId) throws StatusException, IOException, InterruptedException {
    try {
      publishAs(accountId);
    } catch (StatusException refusal) {
      if (!Accounts.reason(refusal).equals("REAUTHORIZATION_REQUIRED")) {
        throw refusal;
      }
      // The token is dead. Only the person can help: in a product, tell them, and send them to this address.
      var begin = beginLink(UUID.randomUUID().toString()).setAccountId(accountId).build();
      var begun = Accounts.call(() -> service.beginLink(begin));
      throw new IOException(Accounts.explain(refusal) + "; the person must consent again: "
          + begun.getAuthorizationUrl());
    }
  }

  /** Lets a person consent; returns the id under which the account is kept from now on. */
  private String link() throws StatusException, IOException, InterruptedException {
    // Ties the link to the browser session that began it: in a product a hash of its cookie.
    var session = UUID.randomUUID().toString();
    var begun = Accounts.call(() -> service.beginLink(beginLink(session).build()));
    var request = LinkRequest.newBuilder()
        .setAuthorizationResponse(consent(begun.getAuthorizationUrl()))
        .setOwner(OWNER)
        .setSessionBinding(session)
        .build();
    var linked = Accounts.call(() -> service.link(request));
    if (linked.getMissingScopesList().contains(SCOPE)) {
      throw new IOException("the person did not grant " + SCOPE + ": explain, and begin another link");
    }
    var account = linked.getAccount();
    System.out.println("linked " + account.getUsername() + " as " + account.getAccountId());
    return account.getAccountId();
  }

  private static BeginLinkRequest.Builder beginLink(String session) {
    return BeginLinkRequest.newBuilder()
        .setOwner(OWNER)
        .setRedirectUri(SANDBOX + "/redirect")
        .setSessionBinding(session);
  }

  /** Stands in for the person: a product redirects the browser, and its callback gets the whole URL. */
  private String consent(String authorizationUrl) throws IOException, InterruptedException {
    var decision = query(Map.of("sandbox_account", PERSON, "sandbox_decision", "allow"));
    var request = HttpRequest.newBuilder(URI.create(authorizationUrl + "&" + decision)).timeout(TIMEOUT);
    var answer = browser.send(request.build(), BodyHandlers.discarding());
    return answer.headers().firstValue("location").orElseThrow(() -> new IOException(
        "the consent page answered " + answer.statusCode() + " and sent the browser nowhere"));
  }

  /**
   * Publishes with the account's token. One that Instagram refuses is put to Refresh, which alone can tell whether it
   * is dead; if not, the token is asked for again.
   */
  private void publishAs(String accountId) throws StatusException, IOException, InterruptedException {
    try {
      publish(fetchToken(accountId));
    } catch (InstagramRefused refusal) {
      if (refusal.code != 190) {
        throw refusal;
      }
      var refresh = RefreshRequest.newBuilder().setAccountId(accountId).setOwner(OWNER).build();
      Accounts.call(() -> service.refresh(refresh));
      publish(fetchToken(accountId));
    }
  }

  /** Ask whenever you need the token, keep it for an hour at most, and print it nowhere. */
  private FetchAccessTokenResponse fetchToken(String accountId) throws StatusException, InterruptedException {
    var request = FetchAccessTokenRequest.newBuilder()
        .setAccountId(accountId)
        .setOwner(OWNER)
        .setMinTtl(Duration.newBuilder().setSeconds(3600))
        .setPurpose("publish a picture")
        .build();
    return Accounts.call(() -> service.fetchAccessToken(request));
  }

  /** Makes a container for the picture, waits until Instagram has processed it, and publishes it. */
  private void publish(FetchAccessTokenResponse token) throws IOException, InterruptedException {
    var account = token.getProfessionalAccountId();
    var picture = Map.of("image_url", PICTURE, "caption", "Fresh.");
    var container = text(instagram(token, "POST", account + "/media", picture), "id");
    var status = "IN_PROGRESS";
    for (int look = 0; look < LOOKS && status.equals("IN_PROGRESS"); look++) {
      if (look > 0) {
        Thread.sleep(1_000);
      }
      status = text(instagram(token, "GET", container, Map.of("fields", "status_code")), "status_code");
    }
    if (!status.equals("FINISHED")) {
      throw new IOException("Instagram could not take the picture: " + status);
    }
    // Not to be repeated when the answer is lost: the container's status tells whether it was published.
    var finished = Map.of("creation_id", container);
    var post = text(instagram(token, "POST", account + "/media_publish", finished), "id");
    System.out.println("published " + post + " as " + account);
  }

  /** Makes one call. The token goes into a header: a URL ends up in logs and in error texts. */
  private JsonObject instagram(
      FetchAccessTokenResponse token, String method, String path, Map<String, String> values)
      throws IOException, InterruptedException {
    var request = HttpRequest.newBuilder(URI.create(SANDBOX + "/" + path + "?" + query(values)))
        .method(method, BodyPublishers.noBody())
        .header("Authorization", "Bearer " + token.getAccessToken())
        .timeout(TIMEOUT)
        .build();
    HttpResponse<String> answer = browser.send(request, BodyHandlers.ofString());
    JsonObject members;
    try {
      members = new Gson().fromJson(answer.body(), JsonObject.class);
    } catch (JsonParseException unreadable) {
      throw new IOException("Instagram answered " + answer.statusCode());
    }
    if (members.has("error")) {
      throw new InstagramRefused(members.getAsJsonObject("error"));
    }
    return members;
  }

  private static String text(JsonObject answer, String member) {
    return answer.get(member).getAsString();
  }

  private static String query(Map<String, String> values) {
    return values.entrySet().stream()
        .map(value -> value.getKey() + "=" + URLEncoder.encode(value.getValue(), StandardCharsets.UTF_8))
        .collect(Collectors.joining("&"));
  }
}
