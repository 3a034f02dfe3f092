//! The daemon against real nodes, a real Prometheus and a real Alertmanager.
fn main() {}
