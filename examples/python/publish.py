"""Links an Instagram account, fetches its token, and publishes a picture with it.

With an account id as argument the link is skipped, as in a product, where it happens once.
"""

import os
import secrets
import sys
import time
from datetime import timedelta

import grpc
import requests

from accounts import call, connect, explain, reason
from instagram.accounts.v1 import instagram_account_service_pb2 as pb
from instagram.accounts.v1.instagram_account_service_pb2_grpc import InstagramAccountServiceStub

# In production https://graph.instagram.com; the sandbox is the person's browser here, too.
SANDBOX = os.environ.get("SANDBOX_URL", "http://127.0.0.1:8090")
PERSON = os.environ.get("SANDBOX_ACCOUNT", "mira.paints")
PICTURE = os.environ.get("PICTURE_URL", "https://shop.example/bread.jpg")

# The account's owner in your system: a tenant, a shop. Give it in every call.
OWNER = "demo"
SCOPE = "instagram_business_content_publish"
# Maximum seconds of one request to Instagram.
TIMEOUT = 20
# Maximum number of looks at a picture that Instagram still processes, a second apart.
LOOKS = 60


class InstagramRefused(Exception):
    """Instagram answered a call with an error."""

    def __init__(self, error: dict):
        super().__init__(f"Instagram refused with code {error.get('code')}: {error.get('message')}")
        self.code = error.get("code")


class Failed(Exception):
    """Something went wrong that has no status."""


def main(arguments: list[str]) -> None:
    with connect() as channel:
        service = InstagramAccountServiceStub(channel)
        account_id = arguments[0] if arguments else link(service)
        try:
            publish_as(service, account_id)
        except grpc.RpcError as error:
            if reason(error) != "REAUTHORIZATION_REQUIRED":
                raise
            # The token is dead. Only the person can help: in a product, tell them, and send them to
            # this address.
            begun = call(service.BeginLink, begin_link(secrets.token_hex(), account_id))
            raise Failed(
                f"{explain(error)}; the person must consent again: {begun.authorization_url}"
            ) from error


def link(service: InstagramAccountServiceStub) -> str:
    """Lets a person consent; returns the id under which the account is kept from now on."""
    # Ties the link to the browser session that began it: in a product a hash of its cookie.
    session = secrets.token_hex()
    begun = call(service.BeginLink, begin_link(session))
    linked = call(
        service.Link,
        pb.LinkRequest(
            authorization_response=consent(begun.authorization_url),
            owner=OWNER,
            session_binding=session,
        ),
    )
    if SCOPE in linked.missing_scopes:
        raise Failed(f"the person did not grant {SCOPE}: explain, and begin another link")
    print(f"linked {linked.account.username} as {linked.account.account_id}")
    return linked.account.account_id


def begin_link(session: str, account_id: str = "") -> pb.BeginLinkRequest:
    return pb.BeginLinkRequest(
        owner=OWNER,
        redirect_uri=f"{SANDBOX}/redirect",
        account_id=account_id,
        session_binding=session,
    )


def consent(authorization_url: str) -> str:
    """Stands in for the person: a product redirects the browser, and its callback gets the URL."""
    decision = {"sandbox_account": PERSON, "sandbox_decision": "allow"}
    try:
        answer = requests.get(authorization_url, decision, allow_redirects=False, timeout=TIMEOUT)
    except requests.RequestException:
        # Its text would show the address, which holds the state.
        raise Failed("the sandbox does not answer") from None
    if not answer.is_redirect:
        raise Failed(f"the consent page answered {answer.status_code} and sent the browser nowhere")
    return answer.headers["location"]


def publish_as(service: InstagramAccountServiceStub, account_id: str) -> None:
    """Publishes with the account's token.

    One that Instagram refuses is put to Refresh, which alone can tell whether it is dead; if not,
    the token is asked for again.
    """
    try:
        publish(fetch_token(service, account_id))
    except InstagramRefused as refusal:
        if refusal.code != 190:
            raise
        call(service.Refresh, pb.RefreshRequest(account_id=account_id, owner=OWNER))
        publish(fetch_token(service, account_id))


def fetch_token(
    service: InstagramAccountServiceStub, account_id: str
) -> pb.FetchAccessTokenResponse:
    """Ask whenever you need the token, keep it for an hour at most, and print it nowhere."""
    request = pb.FetchAccessTokenRequest(
        account_id=account_id,
        owner=OWNER,
        min_ttl=timedelta(hours=1),
        purpose="publish a picture",
    )
    return call(service.FetchAccessToken, request)


def publish(token: pb.FetchAccessTokenResponse) -> None:
    """Makes a container for the picture, waits until Instagram has processed it, publishes it."""
    account = token.professional_account_id
    picture = {"image_url": PICTURE, "caption": "Fresh."}
    container = instagram(token, "POST", f"{account}/media", **picture)["id"]
    for _ in range(LOOKS):
        status = instagram(token, "GET", container, fields="status_code")["status_code"]
        if status != "IN_PROGRESS":
            break
        time.sleep(1)
    if status != "FINISHED":
        raise Failed(f"Instagram could not take the picture: {status}")
    # Not to be repeated when the answer is lost: the container's status tells whether it was
    # published.
    post = instagram(token, "POST", f"{account}/media_publish", creation_id=container)["id"]
    print(f"published {post} as {account}")


def instagram(token: pb.FetchAccessTokenResponse, method: str, path: str, **values: str) -> dict:
    """Makes one call. The token goes into a header: a URL ends up in logs and in error texts."""
    headers = {"Authorization": f"Bearer {token.access_token}"}
    url = f"{SANDBOX}/{path}"
    answer = requests.request(method, url, params=values, headers=headers, timeout=TIMEOUT).json()
    if "error" in answer:
        raise InstagramRefused(answer["error"])
    return answer


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except grpc.RpcError as error:
        sys.exit(explain(error))
    except (Failed, InstagramRefused, requests.RequestException) as error:
        sys.exit(str(error))
