//! `POST /{id}/media`, `GET /{container id}` and `POST /{id}/media_publish`: a picture is announced, looked after
//! and published.

use axum::http::StatusCode;
use serde_json::{Value, json};
use time::Duration;
use url::Url;

use crate::accounts::AccountIndex;
use crate::answer::{Answer, Fields};
use crate::call::Call;
use crate::containers::{Container, ContainerStatus};
use crate::endpoint::Node;
use crate::graph_error::GraphError;
use crate::scope::Scope;
use crate::world::World;

/// Maximum number of posts of an account within 24 hours; Meta's pages also name 25 and 50.
///
/// Source: <https://developers.facebook.com/docs/instagram-platform/content-publishing>.
const MAX_POSTS_PER_DAY: usize = 100;
/// Maximum number of characters in a caption.
///
/// Source: <https://developers.facebook.com/docs/instagram-platform/instagram-graph-api/reference/error-codes>.
const MAX_CAPTION_LENGTH: usize = 2_200;
/// Maximum processing time that a picture may ask for, in seconds.
const MAX_PROCESSING_SECONDS: i64 = 86_400;

/// Takes a picture's address and caption; answers the id of a container. Nothing is fetched.
pub(crate) fn create_container(
    world: &mut World,
    call: &Call,
    node: &Node,
) -> Result<Answer, GraphError> {
    let account = publisher(world, call, node)?;
    match call.parameter("media_type") {
        None | Some("" | "IMAGE") => {}
        Some(other) => return Err(GraphError::media_type(other)),
    }
    let caption = call.parameter("caption").unwrap_or_default().chars().count();
    if caption > MAX_CAPTION_LENGTH {
        return Err(GraphError::caption(caption, MAX_CAPTION_LENGTH));
    }
    let picture = Picture::parse(required(call, "image_url")?)?;
    let created = world.clock.now();
    let ready = created + picture.processing;
    let container = Container { account, created, ready, fails: picture.fails, published: None };
    let id = world.containers.add(container, &mut world.seed);
    Ok(Answer::json(StatusCode::OK, &json!({ "id": id })))
}

/// Status of a container: the wanted fields, and `id` always.
pub(crate) fn read_container(world: &World, call: &Call, id: &str) -> Result<Answer, GraphError> {
    let account = publisher(world, call, &Node::Me)?;
    let status = status_of(world, account, id)
        .ok_or_else(|| GraphError::missing_object(id, &call.method_name()))?;
    let mut fields = Fields(Vec::new());
    for name in call.fields() {
        let value = match name {
            "id" => id.to_owned(),
            "status_code" => status.to_string(),
            "status" => explained(status).to_owned(),
            _ => return Err(GraphError::field(name, "ShadowIGMediaBuilder")),
        };
        fields.0.push((name, Value::String(value)));
    }
    Ok(Answer::json(StatusCode::OK, &fields))
}

/// Publishes a finished container, once; answers the id of the post.
pub(crate) fn publish(world: &mut World, call: &Call, node: &Node) -> Result<Answer, GraphError> {
    let account = publisher(world, call, node)?;
    let id = required(call, "creation_id")?;
    match status_of(world, account, id) {
        Some(ContainerStatus::Finished) => {}
        None | Some(ContainerStatus::Expired) => return Err(GraphError::no_container(id)),
        Some(_) => return Err(GraphError::not_ready()),
    }
    let now = world.clock.now();
    if world.containers.published_lately(account, now) >= MAX_POSTS_PER_DAY {
        return Err(GraphError::posting_limit());
    }
    world.containers.publish(id, now);
    world.accounts.count_post(account);
    let post = world.seed.post_id().to_string();
    Ok(Answer::json(StatusCode::OK, &json!({ "id": post })))
}

/// The account that the path means, if the call's token may publish for it.
fn publisher(world: &World, call: &Call, node: &Node) -> Result<AccountIndex, GraphError> {
    let token = world.living_token(call)?;
    world.account_of(token, node, call)?;
    let may = token.grant.scopes.contains(&Scope::ContentPublish);
    may.then_some(token.grant.account).ok_or_else(GraphError::permission)
}

/// Status of one of the account's own containers.
fn status_of(world: &World, account: AccountIndex, id: &str) -> Option<ContainerStatus> {
    let container = world.containers.get(id).filter(|container| container.account == account)?;
    Some(container.status(world.clock.now()))
}

/// Text of the `status` field; its texts are the sandbox's own.
fn explained(status: ContainerStatus) -> &'static str {
    match status {
        ContainerStatus::Expired => "Expired: The media was not published within 24 hours.",
        ContainerStatus::Error => "Error: Media upload has failed with error code 2207052",
        ContainerStatus::Finished => {
            "Finished: Media has been uploaded and it is ready to be published."
        }
        ContainerStatus::InProgress => "In Progress: Media is still being processed.",
        ContainerStatus::Published => "Published: Media has been published.",
    }
}

fn required<'a>(call: &'a Call, name: &str) -> Result<&'a str, GraphError> {
    let given = call.parameter(name).filter(|value| !value.is_empty());
    given.ok_or_else(|| GraphError::parameter(format!("The parameter {name} is required")))
}

/// Time and outcome of the processing that a picture's address asks for.
#[derive(Debug, PartialEq, Eq)]
struct Picture {
    processing: Duration,
    fails: bool,
}

impl Picture {
    fn parse(address: &str) -> Result<Self, GraphError> {
        let url = Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| GraphError::no_media(address))?;
        let mut picture = Self { processing: Duration::ZERO, fails: false };
        for (name, value) in url.query_pairs() {
            match name.as_ref() {
                "sandbox_seconds" => {
                    let seconds = value.parse().ok();
                    let seconds =
                        seconds.filter(|wanted| (0..=MAX_PROCESSING_SECONDS).contains(wanted));
                    let text = format!("sandbox_seconds is 0 to {MAX_PROCESSING_SECONDS}");
                    picture.processing =
                        Duration::seconds(seconds.ok_or_else(|| GraphError::parameter(text))?);
                }
                "sandbox_status" if value == "ERROR" => picture.fails = true,
                "sandbox_status" => {
                    return Err(GraphError::parameter("sandbox_status can only be ERROR"));
                }
                _ => {}
            }
        }
        Ok(picture)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_address_is_too_strange(address: String, query: String) {
            let _ = Picture::parse(&address);
            let _ = Picture::parse(&format!("https://a.example/?sandbox_seconds={query}"));
        }
    }
}
