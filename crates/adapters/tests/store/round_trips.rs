//! How many statements a call makes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ig_domain::ports::AccountKey;
use ig_test_support::builders::parsed;
use tokio::io::{self, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::fixture::{Postgres, key, open, ports};

/// Begins each execution of a prepared statement.
///
/// Source: <https://www.postgresql.org/docs/current/protocol-message-formats.html>.
const BIND: u8 = b'B';

#[tokio::test]
async fn a_lookup_that_finds_nothing_is_one_statement() {
    let store = Postgres::migrated().await;
    let mut url = store.parsed_url();
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
    url.set_host(Some("127.0.0.1")).unwrap();
    url.query_pairs_mut().append_pair("sslmode", "disable");
    let statements = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&statements);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(count(client, server.clone(), Arc::clone(&counted)));
        }
    });

    let ports = ports(open(url.as_str()), parsed("990602627938098"), &key(1));
    for unknown in [AccountKey::Instagram(parsed("1")), AccountKey::Username(parsed("luna"))] {
        statements.store(0, Ordering::Relaxed);
        assert_eq!(ports.accounts.find(&unknown).await.unwrap(), None);
        assert_eq!(statements.load(Ordering::Relaxed), 1, "{unknown:?}");
    }
}

/// Passes on what both sides say, and counts the client's executions.
async fn count(client: TcpStream, server: String, statements: Arc<AtomicUsize>) -> io::Result<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = TcpStream::connect(server).await?.into_split();
    tokio::spawn(async move { io::copy(&mut from_server, &mut to_client).await });
    // Only the first message has no kind.
    let startup_length = from_client.read_u32().await?;
    let mut body = vec![0; startup_length as usize - 4];
    from_client.read_exact(&mut body).await?;
    to_server.write_u32(startup_length).await?;
    to_server.write_all(&body).await?;
    loop {
        let (kind, length) = (from_client.read_u8().await?, from_client.read_u32().await?);
        statements.fetch_add(usize::from(kind == BIND), Ordering::Relaxed);
        let mut body = vec![0; length as usize - 4];
        from_client.read_exact(&mut body).await?;
        to_server.write_u8(kind).await?;
        to_server.write_u32(length).await?;
        to_server.write_all(&body).await?;
    }
}
