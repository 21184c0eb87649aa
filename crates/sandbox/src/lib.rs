//! A stand-in for Instagram: consent pages, token endpoints, the account's profile, and a control interface under
//! `/sandbox` that turns the clock, plays faults and sends webhooks. Everything lives in memory and follows from a
//! seed.

mod account;
mod accounts;
mod answer;
mod api;
mod app;
mod ascii_json;
mod authenticate;
mod authorize;
mod batch;
mod bounded_map;
mod call;
mod clock;
mod code_exchange;
mod connection;
mod consent;
mod containers;
mod control;
mod endpoint;
mod faults;
mod grants;
mod graph_error;
mod long_lived;
mod mask;
mod pages;
mod params;
mod profile;
mod publishing;
mod redirect_page;
mod requests;
mod scope;
mod seed;
mod sender;
mod server;
mod settings;
mod shapes;
mod signing;
mod subscriptions;
mod updates;
mod usage;
mod world;

pub use server::serve;
pub use settings::{Flags, InvalidSetting, Settings};
pub use world::Sandbox;
