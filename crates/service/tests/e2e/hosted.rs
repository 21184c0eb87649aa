//! Hosted consent: Instagram sends the browser to the service's own callback.

mod browser;
mod invitation;
mod return_url;

use std::sync::atomic::{AtomicU8, Ordering};

use ig_proto::v1::{BeginLinkRequest, BeginLinkResponse, ListRequest};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};

use crate::support::{On, Place, Sandbox, Service};

const BASIC: &str = "instagram_business_basic";
const PUBLISH: &str = "instagram_business_content_publish";

/// The owner who begins.
const OWNER: &str = "shop/7";

/// A service whose callback a browser reaches, and a sandbox whose page `/redirect` is the caller's.
struct Hosted {
    sandbox: Sandbox,
    service: Service,
    place: Place,
    /// Address of the callback's listener.
    address: String,
    /// A browser that follows no redirect.
    client: Client,
}

impl Hosted {
    async fn start(on: On) -> Self {
        let (place, sandbox) = (Place::new(on).await, Sandbox::start().await);
        let address = own_address();
        let service = serve(&place, &sandbox, &address, &[]).await;
        let client = Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
        Self { sandbox, service, place, address, client }
    }

    /// One more replica beside it, at an address of its own, reached by the same public URL.
    async fn replica(&self) -> (Service, String) {
        let (address, public_url) = (own_address(), format!("http://{}", self.address));
        let settings = [("PUBLIC_URL", public_url.as_str())];
        (serve(&self.place, &self.sandbox, &address, &settings).await, address)
    }

    /// The page of the caller to which browsers go on.
    fn return_url(&self) -> String {
        format!("{}/redirect?tenant=7", self.sandbox.url)
    }

    async fn begin(&self, request: BeginLinkRequest) -> BeginLinkResponse {
        self.service.client.clone().begin_link(request).await.unwrap().into_inner()
    }

    /// A link that ends on the service's own page.
    async fn invite(&self) -> BeginLinkResponse {
        self.begin(BeginLinkRequest { owner: OWNER.to_owned(), ..Default::default() }).await
    }

    async fn get(&self, url: &str) -> Response {
        self.client.get(url).send().await.unwrap()
    }

    /// The usernames of all accounts.
    async fn linked(&self) -> Vec<String> {
        let listed = self.service.list(ListRequest::default()).await.unwrap();
        listed.accounts.into_iter().map(|account| account.username).collect()
    }
}

async fn serve(
    place: &Place,
    sandbox: &Sandbox,
    address: &str,
    settings: &[(&str, &str)],
) -> Service {
    let public_url = format!("http://{address}");
    let return_urls = format!("https://example.com/app,{}/redirect", sandbox.url);
    let ours = [
        ("HTTP_LISTEN", address),
        ("PUBLIC_URL", &public_url),
        ("RETURN_URLS", &return_urls),
        // The callback's own need not be among them.
        ("REDIRECT_URIS", "https://example.com/instagram/callback"),
        // Whatever is logged holds neither code nor state nor ticket.
        ("RUST_LOG", "trace"),
    ];
    let service = place.serve(sandbox, &[&ours[..], settings].concat()).await;
    let line = service.process.line_with("calls back are answered");
    assert!(line.contains(address) && line.contains("/oauth/callback"), "{line}");
    service
}

/// A loopback address that no other test has: the public URL is to be known before the service listens.
///
/// The machine takes all of 127.0.0.0/8 for its own on Linux; other systems need an alias for each address.
fn own_address() -> String {
    static DRAWN: AtomicU8 = AtomicU8::new(0);
    let [.., high, low] = std::process::id().to_be_bytes();
    let drawn = DRAWN.fetch_add(1, Ordering::Relaxed);
    format!("127.{}.{low}.{}:8080", 128 | high >> 2, drawn + 1)
}

/// The same URL at another host.
fn at(address: &str, url: &str) -> String {
    let mut url = Url::parse(url).unwrap();
    let (host, port) = address.split_once(':').unwrap();
    url.set_host(Some(host)).unwrap();
    url.set_port(Some(port.parse().unwrap())).unwrap();
    url.into()
}

fn location(response: &Response) -> String {
    assert_eq!(response.status(), 303);
    response.headers()["location"].to_str().unwrap().to_owned()
}
