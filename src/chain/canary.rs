//! Probes the monitor's own surroundings: when nodes and canaries fall silent together, the monitor is cut off and
//! knows nothing of the nodes. A TCP connection that opens is an answer; nothing is sent.

use tokio::{net::TcpStream, sync::mpsc};

use super::{
    CanaryTarget,
    beat::{Beat, Ending},
};
use crate::{
    clock::Clock,
    observation::{CanaryObservation, Observation, Sighting, Source},
    supervisor::Shutdown,
};

/// Probes `target` on its beat until the shutdown.
pub(super) async fn run(
    target: CanaryTarget,
    source: Source,
    clock: Clock,
    sightings: mpsc::Sender<Sighting>,
    mut shutdown: Shutdown,
) {
    let mut beat = Beat::new(target.interval, clock.now().at, fastrand::f64());
    loop {
        tokio::select! {
            biased;
            () = shutdown.begun() => return,
            () = clock.sleep_until(beat.next()) => {}
        }
        let started = clock.now().at;
        let reachable = tokio::select! {
            biased;
            () = shutdown.begun() => return,
            reachable = reaches(&target) => reachable,
        };
        let at = clock.now().at;
        // A canary keeps its beat while it fails: its silence must be as fresh as that of the nodes.
        beat.polled(started, at, Ending::Good, 0.0);
        let sighting = Observation::Canary(CanaryObservation { canary: source, at, reachable });
        tokio::select! {
            biased;
            () = shutdown.begun() => return,
            sent = sightings.send(sighting) => if sent.is_err() { return },
        }
    }
}

/// A refusal is no answer: a firewall on this very machine can refuse in the name of any host.
pub async fn reaches(target: &CanaryTarget) -> bool {
    let connect = TcpStream::connect((&*target.host, target.port));
    matches!(tokio::time::timeout(target.timeout, connect).await, Ok(Ok(_)))
}
