//! From a picture's address to a post: `POST /{id}/media`, `GET /{container id}`, `POST /{id}/media_publish`.

use reqwest::{Method, RequestBuilder};
use rstest::rstest;
use serde_json::json;

use crate::harness::{PUBLISHING, Running, SCOPES, graph_error, parse, read, start, without_trace};

const PICTURE: &str = "https://shop.example/bread.jpg";

/// A sandbox, and an account's token that may publish.
struct Publisher {
    sandbox: Running,
    token: String,
}

impl Publisher {
    async fn start() -> Self {
        let sandbox = start().await;
        let token = sandbox.short_for("harbour.bakery", PUBLISHING).await;
        Self { sandbox, token }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.sandbox.request(method, path).bearer_auth(&self.token)
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> (u16, String) {
        read(self.request(Method::POST, path).form(form).send().await.unwrap()).await
    }

    /// Announces a picture that must be taken; answers the container's id.
    async fn container(&self, picture: &str) -> String {
        id(self.post("/me/media", &[("image_url", picture), ("caption", "Bread")]).await)
    }

    async fn publish(&self, container: &str) -> (u16, String) {
        self.post("/me/media_publish", &[("creation_id", container)]).await
    }

    async fn status(&self, container: &str) -> String {
        let path = format!("/v25.0/{container}?fields=status_code");
        let (status, body) = read(self.request(Method::GET, &path).send().await.unwrap()).await;
        assert_eq!(status, 200, "{body}");
        assert_eq!(parse(&body)["id"], container);
        parse(&body)["status_code"].as_str().unwrap().to_owned()
    }
}

fn id((status, body): (u16, String)) -> String {
    assert_eq!(status, 200, "{body}");
    parse(&body)["id"].as_str().unwrap().to_owned()
}

/// The bytes of a refusal to publish, without its trace.
fn refusal(code: u32, subcode: u32, message: &str, for_person: &str) -> String {
    let start = graph_error(message, "OAuthException", code, Some(subcode));
    let start = start.strip_suffix("}}").unwrap();
    format!(r#"{start},"is_transient":false,"error_user_msg":"{for_person}"}}}}"#)
}

fn no_container(id: &str) -> String {
    let text =
        format!("The media builder with creation id = {id} does not exist or has been expired.");
    refusal(24, 2_207_008, &text, &text)
}

fn not_ready() -> String {
    let text = "The media is not ready for publishing, please wait for a moment";
    refusal(9_007, 2_207_027, "Media ID is not available", text)
}

#[tokio::test]
async fn a_picture_becomes_a_post_whatever_the_encoding() {
    let publisher = Publisher::start().await;
    let account = publisher.sandbox.account("harbour.bakery").await;
    let user_id = account["user_id"].as_str().unwrap();
    let create = format!("/v25.0/{user_id}/media");
    let publish = format!("/{user_id}/media_publish");
    let (picture, token) = (("image_url", PICTURE), ("access_token", publisher.token.as_str()));
    let plain = |path: &str| publisher.sandbox.request(Method::POST, path);
    let multipart = format!(
        "--b\r\nContent-Disposition: form-data; name=\"image_url\"\r\n\r\n{PICTURE}\r\n--b--\r\n"
    );
    for request in [
        plain(&create).form(&[picture, token]),
        plain(&create).query(&[picture, token]),
        plain(&create).json(&json!({ "image_url": PICTURE, "access_token": publisher.token })),
        plain(&create)
            .bearer_auth(&publisher.token)
            .header("content-type", "multipart/form-data; boundary=b")
            .body(multipart),
    ] {
        let container = id(read(request.send().await.unwrap()).await);
        assert_eq!(publisher.status(&container).await, "FINISHED");
        let body = json!({ "creation_id": container.parse::<u64>().unwrap() });
        let post = publisher.request(Method::POST, &publish).json(&body).send();
        assert_ne!(id(read(post.await.unwrap()).await), container);
        assert_eq!(publisher.status(&container).await, "PUBLISHED");
    }
    let after = publisher.sandbox.account("harbour.bakery").await;
    let count = |account: &serde_json::Value| account["media_count"].as_u64().unwrap();
    assert_eq!(count(&after), count(&account) + 4);
}

#[tokio::test]
async fn the_log_shows_who_published_what_and_no_token() {
    let publisher = Publisher::start().await;
    let container = publisher.container(PICTURE).await;
    publisher.publish(&container).await;
    let rows = publisher.sandbox.log().await;
    let row = |endpoint| rows.iter().find(|row| row["endpoint"] == endpoint).unwrap();
    assert_eq!(row("media")["params"]["image_url"], PICTURE);
    assert_eq!(row("media_publish")["params"]["creation_id"], container);
    for endpoint in ["media", "media_publish"] {
        assert_eq!(row(endpoint)["account"], "harbour.bakery");
        assert_eq!(row(endpoint)["status"], 200);
    }
    assert!(!json!(rows).to_string().contains(&publisher.token));
}

#[tokio::test]
async fn a_picture_is_processed_for_as_long_as_it_asks_to_be() {
    let publisher = Publisher::start().await;
    let container = publisher.container(&format!("{PICTURE}?sandbox_seconds=600")).await;
    assert_eq!(publisher.status(&container).await, "IN_PROGRESS");
    let (status, body) = publisher.publish(&container).await;
    assert_eq!((status, without_trace(&body)), (400, not_ready()));
    publisher.sandbox.advance(600).await;
    assert_eq!(publisher.status(&container).await, "FINISHED");
    id(publisher.publish(&container).await);
}

#[tokio::test]
async fn a_container_is_published_once_in_time_and_only_if_it_is_well() {
    let publisher = Publisher::start().await;
    let failed = publisher.container(&format!("{PICTURE}?sandbox_status=ERROR")).await;
    let posted = publisher.container(PICTURE).await;
    id(publisher.publish(&posted).await);
    let late = publisher.container(PICTURE).await;
    assert_eq!(publisher.status(&failed).await, "ERROR");
    for container in [&failed, &posted] {
        let (status, body) = publisher.publish(container).await;
        assert_eq!((status, without_trace(&body)), (400, not_ready()));
    }
    let Publisher { sandbox, .. } = publisher;
    sandbox.advance(86_400).await;
    let token = sandbox.short_for("harbour.bakery", PUBLISHING).await;
    let publisher = Publisher { sandbox, token };
    assert_eq!(publisher.status(&posted).await, "PUBLISHED");
    assert_eq!(publisher.status(&late).await, "EXPIRED");
    let (status, body) = publisher.publish(&late).await;
    assert_eq!((status, without_trace(&body)), (400, no_container(&late)));
}

#[tokio::test]
async fn another_accounts_container_is_not_there() {
    let publisher = Publisher::start().await;
    let container = publisher.container(PICTURE).await;
    let Publisher { sandbox, .. } = publisher;
    let token = sandbox.short_for("mira.paints", PUBLISHING).await;
    let stranger = Publisher { sandbox, token };
    let (status, body) = stranger.publish(&container).await;
    assert_eq!((status, without_trace(&body)), (400, no_container(&container)));
    let answer = stranger.request(Method::GET, &format!("/{container}")).send().await.unwrap();
    let (status, body) = read(answer).await;
    assert_eq!(status, 400);
    assert!(body.contains(r#""code":100,"error_subcode":33"#), "{body}");
}

#[tokio::test]
async fn an_account_publishes_a_hundred_posts_a_day_and_then_the_next_day_again() {
    let publisher = Publisher::start().await;
    for _ in 0..100 {
        let container = publisher.container(PICTURE).await;
        id(publisher.publish(&container).await);
    }
    let container = publisher.container(PICTURE).await;
    let text = "You reached maximum number of posts that is allowed to be published by Content \
                Publishing API.";
    let (status, body) = publisher.publish(&container).await;
    assert_eq!((status, without_trace(&body)), (400, refusal(9, 2_207_042, text, text)));
    let Publisher { sandbox, .. } = publisher;
    sandbox.advance(86_400).await;
    let token = sandbox.short_for("harbour.bakery", PUBLISHING).await;
    let publisher = Publisher { sandbox, token };
    let container = publisher.container(PICTURE).await;
    id(publisher.publish(&container).await);
}

#[rstest]
#[case::creating("/me/media")]
#[case::publishing("/me/media_publish")]
#[tokio::test]
async fn publishing_needs_its_permission(#[case] path: &str) {
    let sandbox = start().await;
    let token = sandbox.short_for("harbour.bakery", SCOPES).await;
    let publisher = Publisher { sandbox, token };
    let form = [("image_url", PICTURE), ("creation_id", "1")];
    let (status, body) = publisher.post(path, &form).await;
    let message = "(#10) Application does not have permission for this action";
    let refused = graph_error(message, "OAuthException", 10, None);
    assert_eq!((status, without_trace(&body)), (403, refused));
}

#[rstest]
#[case::no_picture("/me/media", &[], "(#100) The parameter image_url is required")]
#[case::no_container("/me/media_publish", &[], "(#100) The parameter creation_id is required")]
#[case::endless("/me/media", &[("image_url", "https://a.example/?sandbox_seconds=86401")], "(#100) sandbox_seconds is 0 to 86400")]
#[case::unknown_status("/me/media", &[("image_url", "https://a.example/?sandbox_status=LOST")], "(#100) sandbox_status can only be ERROR")]
#[tokio::test]
async fn a_parameter_that_makes_no_sense_is_named(
    #[case] path: &str,
    #[case] form: &[(&str, &str)],
    #[case] message: &str,
) {
    let publisher = Publisher::start().await;
    let (status, body) = publisher.post(path, form).await;
    let refused = graph_error(message, "OAuthException", 100, None);
    assert_eq!((status, without_trace(&body)), (400, refused));
}

#[rstest]
#[case::not_an_address(
    &[("image_url", "bread.jpg")],
    &refusal(9_004, 2_207_052, "Only photo or video can be accepted as media type.",
        "The media could not be fetched from this uri: bread.jpg")
)]
#[case::another_scheme(
    &[("image_url", "file:///bread.jpg")],
    &refusal(9_004, 2_207_052, "Only photo or video can be accepted as media type.",
        "The media could not be fetched from this uri: file:///bread.jpg")
)]
#[case::video(
    &[("image_url", PICTURE), ("media_type", "REELS")],
    &refusal(100, 2_207_023, "The media type REELS is unknown.", "The media type REELS is unknown.")
)]
#[case::long_caption(
    &[("image_url", PICTURE), ("caption", &"é".repeat(2_201))],
    &refusal(36_004, 2_207_010, LONG_CAPTION, LONG_CAPTION)
)]
#[tokio::test]
async fn a_picture_that_cannot_be_taken_is_refused(
    #[case] form: &[(&str, &str)],
    #[case] refused: &str,
) {
    let publisher = Publisher::start().await;
    let (status, body) = publisher.post("/me/media", form).await;
    assert_eq!((status, without_trace(&body).as_str()), (400, refused));
}

const LONG_CAPTION: &str = "The submitted image's caption was 2201 characters long. The maximum number of characters permitted for a caption is 2200. Please submit media with a shorter caption.";

#[tokio::test]
async fn a_container_has_few_fields() {
    let publisher = Publisher::start().await;
    let container = publisher.container(PICTURE).await;
    let path = format!("/{container}?fields=status,status_code");
    let answer = publisher.request(Method::GET, &path).send().await.unwrap();
    let expected = format!(
        r#"{{"status":"Finished: Media has been uploaded and it is ready to be published.","status_code":"FINISHED","id":"{container}"}}"#
    );
    assert_eq!(read(answer).await, (200, expected));
    let path = format!("/{container}?fields=permalink");
    let (status, body) = read(publisher.request(Method::GET, &path).send().await.unwrap()).await;
    let message =
        "(#100) Tried accessing nonexisting field (permalink) on node type (ShadowIGMediaBuilder)";
    let refused = graph_error(message, "OAuthException", 100, None);
    assert_eq!((status, without_trace(&body)), (400, refused));
}
