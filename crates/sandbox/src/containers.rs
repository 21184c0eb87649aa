//! Pictures on their way to being published: Instagram calls them containers.

use std::fmt::{self, Display, Formatter};

use time::{Duration, OffsetDateTime};

use crate::accounts::AccountIndex;
use crate::bounded_map::BoundedMap;
use crate::seed::Seed;

/// Maximum number of containers that are remembered, published ones too.
const MAX_CONTAINERS: usize = 10_000;
/// Lifetime of a container that is not published.
///
/// Source: <https://developers.facebook.com/docs/instagram-platform/content-publishing>.
const CONTAINER_LIFETIME: Duration = Duration::DAY;
/// The span over which an account's posts are counted.
const POSTING_LIMIT_WINDOW: Duration = Duration::DAY;

/// One picture, without the picture: its account and its progress.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) account: AccountIndex,
    pub(crate) created: OffsetDateTime,
    /// Moment at which its processing ends.
    pub(crate) ready: OffsetDateTime,
    /// Whether processing it ends in an error.
    pub(crate) fails: bool,
    pub(crate) published: Option<OffsetDateTime>,
}

/// Status of a container.
///
/// Source: <https://developers.facebook.com/docs/instagram-platform/content-publishing>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContainerStatus {
    Expired,
    Error,
    Finished,
    InProgress,
    Published,
}

impl Container {
    pub(crate) fn status(&self, now: OffsetDateTime) -> ContainerStatus {
        if self.published.is_some() {
            ContainerStatus::Published
        } else if now - self.created >= CONTAINER_LIFETIME {
            ContainerStatus::Expired
        } else if now < self.ready {
            ContainerStatus::InProgress
        } else if self.fails {
            ContainerStatus::Error
        } else {
            ContainerStatus::Finished
        }
    }
}

impl Display for ContainerStatus {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Expired => "EXPIRED",
            Self::Error => "ERROR",
            Self::Finished => "FINISHED",
            Self::InProgress => "IN_PROGRESS",
            Self::Published => "PUBLISHED",
        })
    }
}

/// Every container that the sandbox remembers, by its id.
pub(crate) struct Containers(BoundedMap<Container>);

impl Containers {
    pub(crate) fn new() -> Self {
        Self(BoundedMap::new(MAX_CONTAINERS))
    }

    /// Keeps a container, and answers the id that it has from now on.
    pub(crate) fn add(&mut self, container: Container, seed: &mut Seed) -> String {
        let id = seed.container_id().to_string();
        self.0.insert(&id, container);
        id
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Container> {
        self.0.get(id)
    }

    /// Marks a container as published.
    pub(crate) fn publish(&mut self, id: &str, now: OffsetDateTime) {
        if let Some(container) = self.0.get_mut(id) {
            container.published = Some(now);
        }
    }

    /// Number of posts that the account published within the last 24 hours.
    pub(crate) fn published_lately(&self, account: AccountIndex, now: OffsetDateTime) -> usize {
        let own = self.0.values().filter(|container| container.account == account);
        own.filter_map(|container| container.published)
            .filter(|at| now - *at < POSTING_LIMIT_WINDOW)
            .count()
    }
}
