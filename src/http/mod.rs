//! What every HTTP surface shares: the listener, who the peer is, status codes, probes, and files. Knows no contract.

pub mod serve;
pub mod slots;
pub mod trust;
pub mod status;
pub mod download;
pub mod extract;
pub mod json;
pub mod upload;
pub mod probes;
pub mod files;
pub mod vitals;
pub mod watched;
