//! Asks the running server whether it is healthy, for containers.

mod trusting;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, Error, anyhow, ensure};
use hyper_util::rt::TokioIo;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tower::service_fn;

/// Timeout of the check: two seconds for everything, less what it takes to start.
const CHECK_TIMEOUT: Duration = Duration::from_millis(1800);

/// Asks the server that listens on `listen`, over TLS where it speaks that.
///
/// # Errors
///
/// When it is not reached, does not answer in time, or is not serving.
pub(crate) async fn run(listen: SocketAddr, tls: bool) -> anyhow::Result<()> {
    let server = reachable(listen);
    let status = tokio::time::timeout(CHECK_TIMEOUT, ask(server, tls)).await;
    let status = status
        .with_context(|| format!("the server at {server} does not answer within two seconds"))?
        .with_context(|| format!("the server at {server} cannot be asked"))?;
    let name = status.as_str_name();
    ensure!(status == ServingStatus::Serving, "the server at {server} is {name}");
    Ok(())
}

async fn ask(server: SocketAddr, tls: bool) -> anyhow::Result<ServingStatus> {
    let endpoint = Endpoint::try_from(format!("http://{server}"))?;
    let channel = if tls {
        let dial =
            service_fn(move |_| async move { trusting::connect(server).await.map(TokioIo::new) });
        endpoint.connect_with_connector(dial).await
    } else {
        endpoint.connect().await
    };
    // Its own text and those in between only say that it is an error.
    let channel = channel.map_err(|error| anyhow!("{}", Error::from(error).root_cause()))?;
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
    let answer = answer.map_err(|status| anyhow!("{}", status.message()))?;
    Ok(answer.into_inner().status())
}

/// Address at which this machine reaches a server that listens on `listen`.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;

    #[rstest]
    #[case::loopback("127.0.0.1:50051", "127.0.0.1:50051")]
    #[case::one_address("10.0.0.7:1", "10.0.0.7:1")]
    #[case::every_ipv4("0.0.0.0:50051", "127.0.0.1:50051")]
    #[case::every_ipv6("[::]:50051", "[::1]:50051")]
    fn a_server_on_every_address_is_asked_on_loopback(#[case] listen: &str, #[case] asked: &str) {
        assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_given_up_within_two_seconds() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let begin = Instant::now();
        let silent = run(listener.local_addr().unwrap(), false).await.unwrap_err().to_string();
        assert!(silent.contains("does not answer within two seconds"), "{silent}");
        // Less a fifth of a second, in which the process starts and ends.
        assert_eq!(begin.elapsed(), Duration::from_millis(1800));
    }

    #[tokio::test]
    async fn nobody_is_not_healthy() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let nobody = format!("{:#}", run(address, false).await.unwrap_err());
        assert!(nobody.contains("cannot be asked"), "{nobody}");
    }
}
