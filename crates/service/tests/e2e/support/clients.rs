//! Clients of replicas that come and go.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ig_proto::v1::instagram_account_service_client::InstagramAccountServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

pub(crate) type Client = InstagramAccountServiceClient<Channel>;

/// Interval between two tries of a call.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// One client for each replica, or one for all behind a proxy.
#[derive(Clone)]
pub(crate) struct Clients(Arc<Mutex<Vec<Client>>>);

impl Clients {
    pub(crate) fn of(clients: impl IntoIterator<Item = Client>) -> Self {
        Self(Arc::new(Mutex::new(clients.into_iter().collect())))
    }

    /// Puts a client of the replica that takes the place of another.
    pub(crate) fn replace(&self, replica: usize, client: Client) {
        self.0.lock().unwrap()[replica] = client;
    }

    /// The client whose turn it is at this try.
    pub(crate) fn turn(&self, number: usize) -> Client {
        let clients = self.0.lock().unwrap();
        clients[number % clients.len()].clone()
    }

    /// Makes a call at one replica after the other until it is answered.
    pub(crate) async fn call<T>(
        &self,
        call: impl AsyncFn(Client) -> Result<Response<T>, Status>,
    ) -> Result<T, Status> {
        let mut tries = 0;
        loop {
            match call(self.turn(tries)).await {
                Err(status) if is_passing(&status) => tokio::time::sleep(RETRY_INTERVAL).await,
                answer => return answer.map(Response::into_inner),
            }
            tries += 1;
        }
    }
}

/// Whether another replica may answer: this one cannot now, or it is the client's own library that says so.
pub(crate) fn is_passing(status: &Status) -> bool {
    status.code() == Code::Unavailable || status.get_details_error_info().is_none()
}
