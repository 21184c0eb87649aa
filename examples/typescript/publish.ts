// Links an Instagram account, fetches its token, and publishes a picture with it. With an account id as argument
// the link is skipped, as in a product, where it happens once.

import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import protobuf from "protobufjs";

import type { ProtoGrpcType } from "./gen/instagram_account_service.js";
import type { BeginLinkRequest } from "./gen/instagram/accounts/v1/BeginLinkRequest.js";
import type { BeginLinkResponse__Output } from "./gen/instagram/accounts/v1/BeginLinkResponse.js";
import type { FetchAccessTokenResponse__Output } from "./gen/instagram/accounts/v1/FetchAccessTokenResponse.js";
import type { InstagramAccountServiceClient } from "./gen/instagram/accounts/v1/InstagramAccountService.js";
import type { LinkResponse__Output } from "./gen/instagram/accounts/v1/LinkResponse.js";
import type { RefreshResponse__Output } from "./gen/instagram/accounts/v1/RefreshResponse.js";

const address = process.env.ACCOUNTS_ADDRESS ?? "127.0.0.1:50051";
// In production https://graph.instagram.com; the sandbox is the person's browser here, too.
const sandbox = process.env.SANDBOX_URL ?? "http://127.0.0.1:8090";
const person = process.env.SANDBOX_ACCOUNT ?? "mira.paints";
const picture = process.env.PICTURE_URL ?? "https://shop.example/bread.jpg";

// The account's owner in your system: a tenant, a shop. Give it in every call.
const owner = "demo";
const scope = "instagram_business_content_publish";
// Maximum milliseconds of one call, with all its repetitions by gRPC.
const deadline = 20_000;
// Maximum number of tries of a call, and maximum milliseconds between two, when the service says when to come back.
const attempts = 3;
const maxRetryDelay = 10_000;
// Maximum number of looks at a picture that Instagram still processes, a second apart.
const looks = 60;

// Every method may be called again, so gRPC itself repeats what met a service that was away for a moment.
const serviceConfig = {
  methodConfig: [
    {
      name: [{ service: "instagram.accounts.v1.InstagramAccountService" }],
      retryPolicy: {
        maxAttempts: 4,
        initialBackoff: "0.2s",
        maxBackoff: "2s",
        backoffMultiplier: 2,
        retryableStatusCodes: ["UNAVAILABLE"],
      },
    },
  ],
};

// The messages of google.rpc that go with a refused call, as far as they are read here.
const rpc = protobuf.parse(`
  syntax = "proto3";
  package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Status { repeated Any details = 3; }
  message ErrorInfo { string reason = 1; map<string, string> metadata = 3; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message RetryInfo { Duration retry_delay = 1; }
`).root;

class InstagramRefused extends Error {
  constructor(readonly code: number, message: string) {
    super(`Instagram refused with code ${code}: ${message}`);
  }
}

async function main(given?: string): Promise<void> {
  const folder = fileURLToPath(new URL("../../../proto", import.meta.url));
  const definition = loadSync("instagram/accounts/v1/instagram_account_service.proto", {
    includeDirs: [folder], longs: String, enums: String, defaults: true, oneofs: true,
  });
  const { instagram } = grpc.loadPackageDefinition(definition) as unknown as ProtoGrpcType;
  // In production grpc.credentials.createSsl, and your bearer by grpc.credentials.combineChannelCredentials.
  const accounts = new instagram.accounts.v1.InstagramAccountService(
    address, grpc.credentials.createInsecure(), { "grpc.service_config": JSON.stringify(serviceConfig) },
  );
  try {
    await run(accounts, given ?? (await link(accounts)));
  } finally {
    accounts.close();
  }
}

async function run(accounts: InstagramAccountServiceClient, accountId: string): Promise<void> {
  try {
    await publishAs(accounts, accountId);
  } catch (error) {
    if (detail(error, "ErrorInfo")?.reason !== "REAUTHORIZATION_REQUIRED") throw error;
    // The token is dead. Only the person can help: in a product, tell them, and send them to this address.
    const begun = await beginLink(accounts, { accountId, sessionBinding: randomUUID() });
    throw new Error(`${explain(error)}; the person must consent again: ${begun.authorizationUrl}`);
  }
}

// Lets a person consent; answers the id under which the account is kept from now on.
async function link(accounts: InstagramAccountServiceClient): Promise<string> {
  // Ties the link to the browser session that began it: in a product a hash of its cookie.
  const sessionBinding = randomUUID();
  const begun = await beginLink(accounts, { sessionBinding });
  const request = { authorizationResponse: await consent(begun.authorizationUrl), owner, sessionBinding };
  const linked = await call<LinkResponse__Output>((...how) => accounts.link(request, ...how));
  if (linked.missingScopes.includes(scope)) {
    throw new Error(`the person did not grant ${scope}: explain, and begin another link`);
  }
  const { username, accountId } = linked.account!;
  console.log(`linked ${username} as ${accountId}`);
  return accountId;
}

function beginLink(accounts: InstagramAccountServiceClient, more: BeginLinkRequest) {
  const request = { owner, redirectUri: `${sandbox}/redirect`, ...more };
  return call<BeginLinkResponse__Output>((...how) => accounts.beginLink(request, ...how));
}

// Stands in for the person: a product redirects the browser, and its callback gets the whole URL.
async function consent(authorizationUrl: string): Promise<string> {
  const decision = new URLSearchParams({ sandbox_account: person, sandbox_decision: "allow" });
  const answer = await fetch(`${authorizationUrl}&${decision}`, {
    redirect: "manual", signal: AbortSignal.timeout(deadline),
  });
  const returned = answer.headers.get("location");
  if (!returned) throw new Error(`the consent page answered ${answer.status} and sent the browser nowhere`);
  return returned;
}

// Publishes with the account's token. One that Instagram refuses is put to Refresh, which alone can tell whether it is
// dead; if not, the token is asked for again.
async function publishAs(accounts: InstagramAccountServiceClient, accountId: string): Promise<void> {
  try {
    await publish(await fetchToken(accounts, accountId));
  } catch (error) {
    if (!(error instanceof InstagramRefused && error.code === 190)) throw error;
    await call<RefreshResponse__Output>((...how) => accounts.refresh({ accountId, owner }, ...how));
    await publish(await fetchToken(accounts, accountId));
  }
}

// Ask whenever you need the token, keep it for an hour at most, and print it nowhere.
function fetchToken(accounts: InstagramAccountServiceClient, accountId: string) {
  const request = { accountId, owner, minTtl: { seconds: 3600 }, purpose: "publish a picture" };
  return call<FetchAccessTokenResponse__Output>((...how) => accounts.fetchAccessToken(request, ...how));
}

// Makes a container for the picture, waits until Instagram has processed it, and publishes it.
async function publish(token: FetchAccessTokenResponse__Output): Promise<void> {
  const account = token.professionalAccountId;
  const container = await instagram(token, "POST", `${account}/media`, { image_url: picture, caption: "Fresh." });
  let status = "IN_PROGRESS";
  for (let look = 0; look < looks && status === "IN_PROGRESS"; look++) {
    if (look > 0) await sleep(1_000);
    status = (await instagram(token, "GET", container.id, { fields: "status_code" })).status_code;
  }
  if (status !== "FINISHED") throw new Error(`Instagram could not take the picture: ${status}`);
  // Not to be repeated when the answer is lost: the container's status tells whether it was published.
  const post = await instagram(token, "POST", `${account}/media_publish`, { creation_id: container.id });
  console.log(`published ${post.id} as ${account}`);
}

// Makes one call. The token goes into a header: a URL ends up in logs and in error texts.
async function instagram(
  token: FetchAccessTokenResponse__Output, method: string, path: string, values: Record<string, string>,
): Promise<{ id: string; status_code: string }> {
  const response = await fetch(`${sandbox}/${path}?${new URLSearchParams(values)}`, {
    method, headers: { authorization: `Bearer ${token.accessToken}` }, signal: AbortSignal.timeout(deadline),
  });
  const answer: any = await response.json();
  if (answer.error) throw new InstagramRefused(answer.error.code, answer.error.message);
  return answer;
}

// Makes one call with a deadline, and again when the service says after which time that may help.
async function call<Answer>(
  send: (...how: [grpc.Metadata, grpc.CallOptions, grpc.requestCallback<Answer>]) => void,
): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await new Promise((resolve, reject) => {
        // The one thing of a method's config that this library does not read there: wait for a service that starts.
        const metadata = new grpc.Metadata({ waitForReady: true });
        const options = { deadline: Date.now() + deadline };
        send(metadata, options, (error, answer) => (error ? reject(error) : resolve(answer!)));
      });
    } catch (error) {
      const delay = detail(error, "RetryInfo")?.retryDelay;
      const wait = delay ? Number(delay.seconds) * 1_000 + delay.nanos / 1e6 : Infinity;
      if (attempt === attempts || wait > maxRetryDelay) throw error;
      await sleep(wait);
    }
  }
}

// What of this kind goes with the status of a refused call, if anything.
function detail(error: unknown, kind: "ErrorInfo" | "RetryInfo"): any {
  const [bytes] = (error as Partial<grpc.ServiceError>).metadata?.get("grpc-status-details-bin") ?? [];
  if (!bytes) return undefined;
  const status: any = rpc.lookupType("google.rpc.Status").decode(bytes as Buffer);
  const packed = status.details.find((any: any) => any.typeUrl.endsWith(`/google.rpc.${kind}`));
  return packed && rpc.lookupType(`google.rpc.${kind}`).decode(packed.value);
}

// Puts the stable reason first, and what goes with it last.
function explain(error: unknown): string {
  const { message } = error as Error;
  const info = detail(error, "ErrorInfo");
  return info ? `${info.reason}: ${message} ${JSON.stringify(info.metadata)}` : message;
}

main(process.argv[2]).catch((error) => {
  console.error(explain(error));
  process.exitCode = 1;
});
