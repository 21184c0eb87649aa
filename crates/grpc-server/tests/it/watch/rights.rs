//! Streams of callers who lose their rights.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ig_domain::ports::{Callers, Credentials, NotAuthenticated};
use ig_domain::{Caller, Role};
use ig_proto::v1;
use ig_proto::v1::instagram_account_service_server::SERVICE_NAME;
use ig_test_support::callers::{Known, caller};
use rstest::rstest;
use tokio::time::Instant;
use tonic::{Code, Request};

use super::{earliest, end, linked, next, next_events};
use crate::frames::{
    Connection, DATA, END_HEADERS, END_STREAM, HEADERS, NO_WINDOW, block, frame, stream,
};
use crate::protocol::framed;
use crate::two_owners::by;
use crate::world::{World, assert_refused, willing_instagram};

/// Time within which a stream ends after its caller's rights.
const RIGHTS_TIMEOUT: Duration = Duration::from_secs(15);

/// Callers that a test edits.
pub(super) struct Edited(Mutex<Arc<Known>>);

impl Edited {
    pub(super) fn of(callers: impl IntoIterator<Item = Caller>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Known::of(callers))))
    }

    pub(super) fn edit(&self, callers: impl IntoIterator<Item = Caller>) {
        *self.0.lock().unwrap() = Known::of(callers);
    }
}

impl Callers for Edited {
    fn authenticate(&self, credentials: Credentials<'_>) -> Result<Arc<Caller>, NotAuthenticated> {
        self.0.lock().unwrap().authenticate(credentials)
    }
}

pub(super) fn root() -> Caller {
    caller("root", &[Role::Admin], "*")
}

fn reader(roles: &[Role], owners: &str) -> Caller {
    caller("reader", roles, owners)
}

fn world() -> (World, Arc<Edited>) {
    let callers = Edited::of([root(), reader(&[Role::Read], "shop/*")]);
    let world = World { callers: callers.clone(), ..World::with(willing_instagram()) };
    (world, callers)
}

fn of_shop() -> Request<v1::WatchRequest> {
    by("reader", v1::WatchRequest { owner: Some("shop/7".to_owned()), ..earliest() })
}

#[rstest]
#[case::the_caller(None, Code::Unauthenticated, "UNAUTHENTICATED")]
#[case::its_role(Some(reader(&[Role::Token], "shop/*")), Code::PermissionDenied, "PERMISSION_DENIED")]
#[case::the_owner(Some(reader(&[Role::Read], "cafe/*")), Code::PermissionDenied, "PERMISSION_DENIED")]
#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_callers_rights(
    #[case] left: Option<Caller>,
    #[case] code: Code,
    #[case] reason: &str,
) {
    let (world, callers) = world();
    let mut client = linked(&world).await;
    let mut stream = client.watch(of_shop()).await.unwrap().into_inner();
    next_events(&mut stream).await;
    callers.edit([root()].into_iter().chain(left));
    let begin = Instant::now();
    let status = end(&mut stream).await;
    assert_refused(&status, code, reason, &[]);
    assert!(begin.elapsed() <= RIGHTS_TIMEOUT, "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_with_the_owners_that_are_left() {
    let (world, callers) = world();
    let mut client = linked(&world).await;
    let mut stream = client.watch(by("reader", earliest())).await.unwrap().into_inner();
    next_events(&mut stream).await;
    callers.edit([root(), reader(&[Role::Read], "cafe/*")]);
    let begin = Instant::now();
    while begin.elapsed() < RIGHTS_TIMEOUT {
        next(&mut stream).await;
    }
    super::rename(&world, "Harbour").await;
    let begin = Instant::now();
    while begin.elapsed() < RIGHTS_TIMEOUT {
        assert_eq!(next(&mut stream).await.events, [], "of an owner that it has lost");
    }
}

/// It does not read, so nothing can tell it; its stream is reset all the same.
#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_reads_ends_with_its_callers_rights_too() {
    let (world, callers) = world();
    let _client = linked(&world).await;
    let server = world.serve().await;
    let mut connection = Connection::open(&server).await;
    connection.send(NO_WINDOW).await;
    let fields = [("content-type", "application/grpc"), ("authorization", "Bearer reader")];
    let head = block("POST", &format!("/{SERVICE_NAME}/Watch"), &fields);
    connection.send(&frame(HEADERS, END_HEADERS, stream(0), &head)).await;
    connection.send(&frame(DATA, END_STREAM, stream(0), &framed(&earliest()))).await;
    connection.read_until(HEADERS, 1).await;
    callers.edit([root()]);
    let begin = Instant::now();
    assert!(!connection.is_answered(stream(0)).await, "there was no room for a message");
    assert!(begin.elapsed() <= RIGHTS_TIMEOUT, "{:?}", begin.elapsed());
}
