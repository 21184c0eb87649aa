// Links an Instagram account, fetches its token, and publishes a picture with it. With an account id as argument
// the link is skipped, as in a product, where it happens once.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { call, connect, explain, reason } from "./accounts.js";
import {
  BeginLinkRequest, type BeginLinkResponse, FetchAccessTokenRequest, type FetchAccessTokenResponse,
  type InstagramAccountServiceClient, LinkRequest, type LinkResponse, RefreshRequest, type RefreshResponse,
} from "./gen/instagram/accounts/v1/instagram_account_service.js";

// In production https://graph.instagram.com; the sandbox is the person's browser here, too.
const sandbox = process.env.SANDBOX_URL ?? "http://127.0.0.1:8090";
const person = process.env.SANDBOX_ACCOUNT ?? "mira.paints";
const picture = process.env.PICTURE_URL ?? "https://shop.example/bread.jpg";

// The account's owner in your system: a tenant, a shop. Give it in every call.
const owner = "demo";
const scope = "instagram_business_content_publish";
// Maximum milliseconds of one request to Instagram.
const timeout = 20_000;
// Maximum number of looks at a picture that Instagram still processes, a second apart.
const looks = 60;

class InstagramRefused extends Error {
  constructor(readonly code: number, message: string) {
    super(`Instagram refused with code ${code}: ${message}`);
  }
}

async function main(given?: string): Promise<void> {
  const service = connect();
  try {
    await run(service, given ?? (await link(service)));
  } finally {
    service.close();
  }
}

async function run(service: InstagramAccountServiceClient, accountId: string): Promise<void> {
  try {
    await publishAs(service, accountId);
  } catch (error) {
    if (reason(error) !== "REAUTHORIZATION_REQUIRED") throw error;
    // The token is dead. Only the person can help: in a product, tell them, and send them to this address.
    const begun = await beginLink(service, { accountId, sessionBinding: randomUUID() });
    throw new Error(`${explain(error)}; the person must consent again: ${begun.authorizationUrl}`);
  }
}

// Lets a person consent; answers the id under which the account is kept from now on.
async function link(service: InstagramAccountServiceClient): Promise<string> {
  // Ties the link to the browser session that began it: in a product a hash of its cookie.
  const sessionBinding = randomUUID();
  const begun = await beginLink(service, { sessionBinding });
  const authorizationResponse = await consent(begun.authorizationUrl);
  const request = LinkRequest.create({ authorizationResponse, owner, sessionBinding });
  const linked = await call<LinkResponse>((...how) => service.link(request, ...how));
  if (linked.missingScopes.includes(scope)) {
    throw new Error(`the person did not grant ${scope}: explain, and begin another link`);
  }
  const { username, accountId } = linked.account!;
  console.log(`linked ${username} as ${accountId}`);
  return accountId;
}

function beginLink(service: InstagramAccountServiceClient, more: Partial<BeginLinkRequest>) {
  const request = BeginLinkRequest.create({ owner, redirectUri: `${sandbox}/redirect`, ...more });
  return call<BeginLinkResponse>((...how) => service.beginLink(request, ...how));
}

// Stands in for the person: a product redirects the browser, and its callback gets the whole URL.
async function consent(authorizationUrl: string): Promise<string> {
  const decision = new URLSearchParams({ sandbox_account: person, sandbox_decision: "allow" });
  const answer = await fetch(`${authorizationUrl}&${decision}`, {
    redirect: "manual", signal: AbortSignal.timeout(timeout),
  });
  const returned = answer.headers.get("location");
  if (!returned) throw new Error(`the consent page answered ${answer.status} and sent the browser nowhere`);
  return returned;
}

// Publishes with the account's token. One that Instagram refuses is put to Refresh, which alone can tell whether it is
// dead; if not, the token is asked for again.
async function publishAs(service: InstagramAccountServiceClient, accountId: string): Promise<void> {
  try {
    await publish(await fetchToken(service, accountId));
  } catch (error) {
    if (!(error instanceof InstagramRefused && error.code === 190)) throw error;
    const request = RefreshRequest.create({ accountId, owner });
    await call<RefreshResponse>((...how) => service.refresh(request, ...how));
    await publish(await fetchToken(service, accountId));
  }
}

// Ask whenever you need the token, keep it for an hour at most, and print it nowhere.
function fetchToken(service: InstagramAccountServiceClient, accountId: string) {
  const minTtl = { seconds: "3600" };
  const request = FetchAccessTokenRequest.create({ accountId, owner, minTtl, purpose: "publish a picture" });
  return call<FetchAccessTokenResponse>((...how) => service.fetchAccessToken(request, ...how));
}

// Makes a container for the picture, waits until Instagram has processed it, and publishes it.
async function publish(token: FetchAccessTokenResponse): Promise<void> {
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
  token: FetchAccessTokenResponse, method: string, path: string, values: Record<string, string>,
): Promise<{ id: string; status_code: string }> {
  const response = await fetch(`${sandbox}/${path}?${new URLSearchParams(values)}`, {
    method, headers: { authorization: `Bearer ${token.accessToken}` }, signal: AbortSignal.timeout(timeout),
  });
  const answer: any = await response.json();
  if (answer.error) throw new InstagramRefused(answer.error.code, answer.error.message);
  return answer;
}

main(process.argv[2]).catch((error) => {
  console.error(explain(error));
  process.exitCode = 1;
});
