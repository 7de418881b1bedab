//! The `helpline` binary.

fn main() {}
