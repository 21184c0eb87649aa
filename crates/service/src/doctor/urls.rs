//! Checks of URLs by what they say. Nothing is asked.

use ig_adapters::instagram::BaseUrl;
use ig_domain::RedirectUri;

use super::Finding;
use crate::config::setting::{self, Setting};
use crate::config::{Problem, ServeConfig};

/// Host whose page of consent Meta shut down in August 2026. It still exchanges codes.
const DEAD_AUTHORIZE_HOST: &str = "api.instagram.com";

/// Domain of Facebook Login, whose hosts take no token of Instagram Login.
const FACEBOOK_DOMAIN: &str = "facebook.com";

/// Newest version of the API of which an end is set, and the day of it.
///
/// Source: <https://developers.facebook.com/docs/graph-api/changelog>.
const ENDING_VERSION: (u32, &str) = (21, "2027-01-21");

/// Checks every URL of the settings.
pub(super) fn examine(config: &ServeConfig) -> Vec<Finding> {
    let instagram = &config.instagram;
    let urls = [
        (&setting::AUTHORIZE_URL, &instagram.authorize_url),
        (&setting::API_URL, &instagram.api_url),
        (&setting::GRAPH_URL, &instagram.graph_url),
    ];
    let dead =
        dead_authorize_host(&instagram.authorize_url).map(|problem| Finding::Error(problem.into()));
    let facebook = urls.into_iter().filter_map(|(setting, url)| facebook_host(setting, url));
    let version = ending_version(&instagram.graph_url);
    let is_real = !instagram.authorize_url.is_plain_http();
    let redirect_uris = (1..).zip(&config.links.redirect_uris);
    let redirect_uris = redirect_uris.filter_map(|(item, uri)| redirect_uri(item, uri, is_real));
    let public_url = public_url(config).filter(|_| is_real);
    dead.into_iter().chain(facebook).chain(version).chain(redirect_uris).chain(public_url).collect()
}

/// The problem of a page of consent that is no more; `None` where it is another.
pub(crate) fn dead_authorize_host(authorize_url: &BaseUrl) -> Option<Problem> {
    let text = format_args!(
        "is at {DEAD_AUTHORIZE_HOST}, whose page of consent has been dead since August 2026, so nobody can \
         link: leave it out, or set {}",
        setting::AUTHORIZE_URL.example
    );
    let is_dead = authorize_url.host() == DEAD_AUTHORIZE_HOST;
    is_dead.then(|| Problem::warning(&setting::AUTHORIZE_URL, &text))
}

fn facebook_host(setting: &'static Setting, url: &BaseUrl) -> Option<Finding> {
    let rest = url.host().strip_suffix(FACEBOOK_DOMAIN)?;
    let text = format_args!(
        "is at {}, which belongs to Facebook Login and takes no token of Instagram Login: leave it out, or set {}",
        url.host(),
        setting.example
    );
    (rest.is_empty() || rest.ends_with('.')).then(|| Finding::error(setting, &text))
}

fn ending_version(graph_url: &BaseUrl) -> Option<Finding> {
    let version = graph_url.version()?;
    let (ending, day) = ENDING_VERSION;
    let text = format_args!(
        "names version {version} of the API, and version {ending} ends on {day}: name a newer one, or none"
    );
    (version <= ending).then(|| Finding::warning(&setting::GRAPH_URL, &text))
}

/// Instagram compares redirect URIs to the letter.
fn redirect_uri(item: usize, uri: &RedirectUri, is_real: bool) -> Option<Finding> {
    let uri = uri.as_str();
    let (problem, remedy) = if is_real && uri.starts_with("http:") {
        (
            "is plain http, which Instagram refuses",
            "register an https URI, through a tunnel for a laptop",
        )
    } else if uri.contains("%25") {
        ("is percent-encoded twice", "name it as it is registered in the App Dashboard")
    } else if uri.contains('?') {
        (
            "has a query, which frameworks extend so that the URI is another one",
            "register a URI without one, and keep what belongs to the link by its state",
        )
    } else {
        return None;
    };
    let text = format_args!("has an item {item} that {problem}: {remedy}");
    Some(Finding::warning(&setting::REDIRECT_URIS, &text))
}

/// A public URL that leads nowhere for Instagram.
fn public_url(config: &ServeConfig) -> Option<Finding> {
    let hosted = config.links.hosted.as_ref()?;
    let text = "is plain http, which stays on this machine, so neither people nor Meta reach it: \
                give it an https URL that leads to HTTP_LISTEN, through a tunnel for a laptop";
    let stays = hosted.redirect_uri.as_str().starts_with("http:");
    stays.then(|| Finding::error(&setting::PUBLIC_URL, &text))
}
