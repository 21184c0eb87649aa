//! The gRPC messages and service, generated from `proto/`; nothing here is written by hand.

/// Package `instagram.accounts.v1`.
pub mod v1 {
    tonic::include_proto!("instagram.accounts.v1");
}

/// The encoded descriptors of the whole package, comments included: what reflection serves.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
