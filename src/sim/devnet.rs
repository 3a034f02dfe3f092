//! The shell around a simulated world: it lets time pass and gives every node its own socket on the loopback.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use tokio::sync::{mpsc, watch};

use super::{
    block::millis,
    chain::Process,
    fault::Fault,
    node::{self, Door},
    rpc::Desk,
    script::Step,
    world::World,
};
use crate::{
    clock::{Clock, Stopwatch},
    supervisor::{PanicCounter, Shutdown, Supervisor},
};

/// The world is looked after at least this often, so that nodes that catch up do so visibly.
const LONGEST_NAP: Duration = Duration::from_millis(100);

/// Announcements that wait for a narrator; more are dropped.
const VOICE_CAPACITY: usize = 256;

/// How long tasks may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// How fast the simulation's time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace(u32);

impl Pace {
    /// As fast as the world's.
    pub const REAL: Self = Self(1);

    /// So many times as fast; at least once.
    #[must_use]
    pub fn times(factor: u32) -> Self {
        Self(factor.max(1))
    }

    /// The pace as a factor.
    #[must_use]
    pub fn factor(self) -> u32 {
        self.0
    }
}

/// What all nodes share: the world and how its time maps to the wall clock.
#[derive(Debug)]
pub(super) struct Ground {
    world: RwLock<World>,
    started: Stopwatch,
    epoch_ms: i64,
    pace: Pace,
}

impl Ground {
    fn read(&self) -> RwLockReadGuard<'_, World> {
        self.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, World> {
        self.world.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.started.elapsed().saturating_mul(self.pace.0)
    }

    /// Asks a node's desk. `None` if there is no such network.
    pub(super) fn ask<T>(&self, network: usize, node: usize, question: impl FnOnce(Desk<'_>) -> T) -> Option<T> {
        let world = self.read();
        let chain = world.chains().get(network)?;
        Some(question(Desk { chain, node, epoch_ms: self.epoch_ms, speed: self.pace.0, streams: false }))
    }
}

struct Seat {
    address: SocketAddr,
    process: watch::Sender<Process>,
}

/// Running simulated networks.
pub struct Devnet {
    ground: Arc<Ground>,
    seats: Arc<Vec<Vec<Seat>>>,
    voice: Option<mpsc::Receiver<Step>>,
    supervisor: Supervisor,
}

impl Devnet {
    /// Opens a socket for every node and lets time pass. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// If a socket cannot be had.
    pub fn start(world: World, pace: Pace) -> io::Result<Self> {
        let lived_ms = i64::try_from(millis(world.opened()) / u64::from(pace.0)).unwrap_or(i64::MAX);
        let epoch_ms = Clock.now().wall.millis().saturating_sub(lived_ms);
        let ground = Arc::new(Ground { world: RwLock::new(world), started: Clock.stopwatch(), epoch_ms, pace });
        let mut supervisor = Supervisor::default();
        let seats = Arc::new(open_doors(&ground, &mut supervisor)?);
        let (say, voice) = mpsc::channel(VOICE_CAPACITY);
        let (shared, places, shutdown) = (Arc::clone(&ground), Arc::clone(&seats), supervisor.shutdown());
        supervisor.spawn("devnet", PanicCounter::default(), move || {
            pass_time(Arc::clone(&shared), Arc::clone(&places), say.clone(), shutdown.clone())
        });
        Ok(Self { ground, seats, voice: Some(voice), supervisor })
    }

    /// Where each node of each network answers, in the order of the plans: HTTP, and WebSocket under `ws://`. An address
    /// survives a stop of its node.
    #[must_use]
    pub fn urls(&self) -> Vec<Vec<String>> {
        let url = |seat: &Seat| format!("http://{}", seat.address);
        self.seats.iter().map(|nodes| nodes.iter().map(url).collect()).collect()
    }

    /// The events of the script as they happen; can be taken once.
    pub fn voice(&mut self) -> Option<mpsc::Receiver<Step>> {
        self.voice.take()
    }

    /// Lets a fault happen now, beside the script.
    pub fn suffer(&self, network: usize, fault: &Fault) {
        let now = self.ground.now();
        let mut world = self.ground.write();
        world.suffer(network, fault, now);
        show_processes(&world, &self.seats);
    }

    /// Looks at the world as it is.
    pub fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.ground.read())
    }

    /// Closes every socket.
    pub async fn stop(self) {
        self.supervisor.stop(STOP_LIMIT).await;
    }
}

fn open_doors(ground: &Arc<Ground>, supervisor: &mut Supervisor) -> io::Result<Vec<Vec<Seat>>> {
    let sizes: Vec<usize> = ground.read().chains().iter().map(|chain| chain.plan().members.len()).collect();
    let mut networks = Vec::with_capacity(sizes.len());
    for (network, size) in sizes.into_iter().enumerate() {
        let mut seats = Vec::with_capacity(size);
        for node in 0..size {
            seats.push(open_door(Arc::clone(ground), network, node, supervisor)?);
        }
        networks.push(seats);
    }
    Ok(networks)
}

fn open_door(ground: Arc<Ground>, network: usize, node: usize, supervisor: &mut Supervisor) -> io::Result<Seat> {
    let process = watch::Sender::new(Process::Running);
    let door = Arc::new(Door::open(ground, network, node, process.subscribe())?);
    let address = door.address();
    let shutdown = supervisor.shutdown();
    supervisor
        .spawn("simulated node", PanicCounter::default(), move || node::keep(Arc::clone(&door), shutdown.clone()));
    Ok(Seat { address, process })
}

async fn pass_time(ground: Arc<Ground>, seats: Arc<Vec<Vec<Seat>>>, say: mpsc::Sender<Step>, mut shutdown: Shutdown) {
    while !shutdown.has_begun() {
        let nap = pass_moment(&ground, &seats, &say);
        tokio::select! {
            () = tokio::time::sleep(nap) => {}
            () = shutdown.begun() => {}
        }
    }
}

/// Brings the world up to now and returns how long nothing will happen in it.
fn pass_moment(ground: &Ground, seats: &[Vec<Seat>], say: &mpsc::Sender<Step>) -> Duration {
    let now = ground.now();
    let mut world = ground.write();
    for step in world.advance(now) {
        // A narrator who does not listen misses the story, nothing else.
        let _ = say.try_send(step);
    }
    show_processes(&world, seats);
    let next = world.next_at().map_or(LONGEST_NAP, |at| at.saturating_sub(now) / ground.pace.0);
    next.clamp(Duration::from_millis(1), LONGEST_NAP)
}

fn show_processes(world: &World, seats: &[Vec<Seat>]) {
    for (chain, nodes) in world.chains().iter().zip(seats) {
        for (node, seat) in nodes.iter().enumerate() {
            let process = chain.process(node);
            seat.process.send_if_modified(|shown| std::mem::replace(shown, process) != process);
        }
    }
}
