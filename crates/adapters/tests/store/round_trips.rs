//! Number of statements of a call, and of its waits for the server.

use std::sync::{Arc, Mutex};

use ig_domain::ports::{AccountKey, ConsumerKey, HeldConsumer};
use ig_domain::{EventPosition, LeaseHolder};
use ig_test_support::builders::parsed;
use ig_test_support::contract::Ports;
use tokio::io::{self, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use super::fixture::{Postgres, key, open, ports};

/// Prepares a statement.
///
/// Source: <https://www.postgresql.org/docs/current/protocol-message-formats.html>.
const PARSE: u8 = b'P';
/// Begins an execution of a prepared statement.
const BIND: u8 = b'B';
/// A statement that is not prepared, or several of them.
const SIMPLE_QUERY: u8 = b'Q';
/// Ends an answer of the server, whichever kind of question it was.
const READY_FOR_QUERY: u8 = b'Z';

/// Counts since the last transaction began, in its connection.
#[derive(Clone, Debug, Default)]
struct Transaction {
    connection: u16,
    prepared: usize,
    executed: usize,
    round_trips: usize,
}

/// Ports whose statements are counted.
async fn counted(store: &Postgres) -> (Ports, Arc<Mutex<Transaction>>) {
    let mut url = store.parsed_url();
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
    url.set_host(Some("127.0.0.1")).unwrap();
    url.query_pairs_mut().append_pair("sslmode", "disable");
    let last = Arc::new(Mutex::new(Transaction::default()));
    let counted = Arc::clone(&last);
    tokio::spawn(async move {
        while let Ok((client, address)) = listener.accept().await {
            tokio::spawn(pass_on(client, address.port(), server.clone(), Arc::clone(&counted)));
        }
    });

    (ports(open(url.as_str()), parsed("990602627938098"), &key(1)), last)
}

#[tokio::test]
async fn a_lookup_that_finds_nothing_is_one_statement_in_two_round_trips() {
    let store = Postgres::migrated().await;
    let (ports, last) = counted(&store).await;
    for unknown in [AccountKey::Instagram(parsed("1")), AccountKey::Username(parsed("luna"))] {
        // Each of at most ten connections prepares it once.
        for _ in 0..=10 {
            assert_eq!(ports.accounts.find(&unknown).await.unwrap(), None);
            let Transaction { prepared, executed, round_trips, .. } = last.lock().unwrap().clone();
            // The begin of its transaction is one.
            assert_eq!((executed, round_trips), (1, 2 + prepared), "{unknown:?}");
        }
        assert_eq!(last.lock().unwrap().prepared, 0);
    }
}

/// However many streams stand still.
#[tokio::test]
async fn consumers_whose_cursor_stays_are_kept_by_one_statement() {
    let store = Postgres::migrated().await;
    let (ports, last) = counted(&store).await;
    let start = ports.event_log.look(None).await.unwrap().head;
    let to = EventPosition { number: start.number + 1, ..start };
    let mut held = Vec::new();
    for number in 1..=3 {
        let key = ConsumerKey { caller: parsed("publisher"), name: parsed(&format!("c{number}")) };
        let holder = LeaseHolder::from_uuid(Uuid::from_u128(number));
        ports.consumers.take(&key, holder, Some(&start)).await.unwrap();
        held.push(HeldConsumer { holder, advance: Some((start.number, to)) });
    }
    for executed in [4, 1] {
        assert_eq!(ports.consumers.keep(&held).await.unwrap().len(), 3);
        assert_eq!(last.lock().unwrap().executed, executed);
    }
}

/// Passes on what both sides say, and counts it.
async fn pass_on(
    client: TcpStream,
    connection: u16,
    server: String,
    last: Arc<Mutex<Transaction>>,
) -> io::Result<()> {
    let (mut from_client, to_client) = client.into_split();
    let (from_server, mut to_server) = TcpStream::connect(server).await?.into_split();
    let counted = Arc::clone(&last);
    tokio::spawn(messages(from_server, to_client, move |kind, _| {
        let mut last = counted.lock().unwrap();
        let is_its_own = last.connection == connection;
        last.round_trips += usize::from(is_its_own && kind == READY_FOR_QUERY);
    }));
    // Only the client's first message has no kind.
    let startup_length = from_client.read_u32().await?;
    let mut body = vec![0; startup_length as usize - 4];
    from_client.read_exact(&mut body).await?;
    to_server.write_u32(startup_length).await?;
    to_server.write_all(&body).await?;
    messages(from_client, to_server, move |kind, body| {
        let mut last = last.lock().unwrap();
        if kind == SIMPLE_QUERY && body.starts_with(b"BEGIN") {
            *last = Transaction { connection, ..Transaction::default() };
        } else if last.connection == connection {
            last.prepared += usize::from(kind == PARSE);
            last.executed += usize::from(kind == BIND);
        }
    })
    .await
}

async fn messages(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    count: impl Fn(u8, &[u8]),
) -> io::Result<()> {
    loop {
        let (kind, length) = (from.read_u8().await?, from.read_u32().await?);
        let mut body = vec![0; length as usize - 4];
        from.read_exact(&mut body).await?;
        // The receiver may go on at once.
        count(kind, &body);
        to.write_u8(kind).await?;
        to.write_u32(length).await?;
        to.write_all(&body).await?;
    }
}
