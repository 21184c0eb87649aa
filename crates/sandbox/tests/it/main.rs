//! The sandbox as its callers meet it: over loopback, through a real HTTP client or a raw socket.

#[cfg(test)]
mod binary;
#[cfg(test)]
mod consent;
#[cfg(test)]
mod control;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod long_lived;
#[cfg(test)]
mod profile;
#[cfg(test)]
mod publishing;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod signed_requests;
#[cfg(test)]
mod subscriptions;
#[cfg(test)]
mod token;
#[cfg(test)]
mod webhooks;
