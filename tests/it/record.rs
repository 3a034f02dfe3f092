//! Recordings: what is recorded is judged again as it was judged at first, files make room for each other, and what
//! cannot be written is said and corrupts nothing.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
    time::Duration,
};

use haltwatch::{
    engine::{
        settings::{Cadence, FaultTolerance, Settings as Cast},
        snapshot::{Effect, Subject},
    },
    model::{BlockHash, Height, Instant, NetworkIndex, PlannedHalt, UnixTime},
    observation::{Equivocation, Finality, Notice, Observation, Syncing, Upgrade},
    recorder::{Recorder, Settings, Step},
    replay::{Change, ReplayError, Told, replay},
};

use crate::{
    daemon::{self, File, eventually},
    engine::world::{WALL, World, block, canary, network, settings},
    scripted_node::{ScriptedNode, healthy},
};

/// A folder for one test; it goes when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("haltwatch-record-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The names of what is in it, sorted.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(&self.0).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn spacious(file: PathBuf) -> Settings {
    Settings { file, max_size: Settings::MAX_SIZE, keep: Settings::KEEP }
}

/// What was announced: when, whether it began, the name and the subject.
type Announced = (i64, bool, &'static str, Subject);

fn announced_in(world: &World) -> Vec<Announced> {
    let announced = world.effects().iter().filter_map(|(ms, effect)| match effect {
        Effect::Fired(alert) => Some((*ms, true, alert.key.name.as_str(), alert.key.subject)),
        Effect::Resolved(alert) => Some((*ms, false, alert.key.name.as_str(), alert.key.subject)),
        _ => None,
    });
    announced.collect()
}

/// What a replay of the file announces, and the settings under which it does.
fn replayed(file: &Path) -> (Vec<Announced>, Cast) {
    let mut announced = Vec::new();
    let mut cast = Cast::default();
    let end = replay(
        fs::read(file).unwrap().as_slice(),
        |stream| {
            cast = stream.clone();
            stream.clone()
        },
        |told: &Told<'_>| -> Result<(), ReplayError> {
            let key = told.alert.key;
            announced.push((told.now.at.0, told.change == Change::Fired, key.name.as_str(), key.subject));
            Ok(())
        },
    );
    assert_eq!(end.unwrap().cut_at, None);
    (announced, cast)
}

fn steps(world: &mut World) -> Vec<Step> {
    let cast = Arc::new(world.settings.clone());
    let taken = world.taken.take().unwrap_or_default().into_iter();
    taken.map(|(now, observations)| Step { cast: Arc::clone(&cast), now, observations }).collect()
}

/// A world with a halt, a recovery, a second halt, nodes that die, and an uplink that is cut.
fn eventful() -> World {
    let mut on_demand = network("side");
    (on_demand.cadence, on_demand.block_time, on_demand.tolerance) =
        (Cadence::OnDemand, None, FaultTolerance::AllButOne);
    on_demand.depends_on = vec![NetworkIndex(0)];
    let mut main = network("main");
    main.chain_id = Some("main".into());
    main.limits.recovery_blocks = 7;
    main.limits.halt_floor = Duration::from_millis(20_500);
    let mut world = settings(&[(main, "A B C D e"), (on_demand, "x y z")]);
    world.isolated_after = Duration::from_secs(45);
    world.nodes[4].limits.min_peers = None;
    world.nodes[5].interval = Duration::from_millis(3100);
    world.canaries = vec![canary("gateway:53"), canary("other:53")];
    let mut world = World::new(world);
    world.taken = Some(Vec::new());
    world.ms = 1;
    world.run(40);
    world.stop("main");
    world.run(70);
    world.go("main");
    world.run(200);
    world.kill("A B");
    world.pending("side", 3);
    world.stop("side");
    world.run(400);
    world.revive("A B");
    world.go("side");
    world.run(300);
    world.cut(true);
    world.run(150);
    world.cut(false);
    world.stop("main");
    world.run(120);
    world.sleep(900);
    world.run(100);
    world
}

#[test]
fn what_is_recorded_is_told_again_at_the_very_same_times() {
    let folder = Folder::new("again");
    let mut world = eventful();
    let wanted = announced_in(&world);
    for name in ["NetworkHalted", "NodeOffline", "MonitorIsolated"] {
        assert!(wanted.iter().any(|it| it.2 == name), "{name} is part of the story: {wanted:?}");
    }
    let steps = steps(&mut world);
    let start = haltwatch::model::Now { at: haltwatch::model::Timestamp(0), wall: UnixTime::from_millis(WALL) };
    let mut recorder = Recorder::open(&spacious(folder.file("s.jsonl")), start).unwrap();
    steps.chunks(100).for_each(|steps| recorder.write(steps).unwrap());
    let (announced, cast) = replayed(&folder.file("s.jsonl"));
    let not_watchdog = |list: &[Announced]| list.iter().filter(|it| it.2 != "Watchdog").copied().collect::<Vec<_>>();
    assert_eq!(not_watchdog(&announced), not_watchdog(&wanted));
    let same = |of: &Cast| (of.networks.clone(), of.nodes.clone(), of.isolated_after, of.monitor.clone());
    assert_eq!(same(&cast), same(&world.settings), "the first line holds every setting");
}

#[test]
fn every_fact_and_every_announcement_survives() {
    let folder = Folder::new("facts");
    let mut world = World::of("A b");
    let mut halt = PlannedHalt { kind: "upgrade".into(), from: None, until: None, at_height: Some(Height(5)) };
    world.settings.networks[0].planned = vec![halt.clone()];
    halt.from = Some(Instant::Wall(UnixTime::from_millis(WALL + 5000)));
    world.taken = Some(Vec::new());
    world.let_say("A", |moment| {
        moment.but(|facts| {
            facts.genesis = Some(BlockHash([7; 32]));
            facts.version = Some("geth/1".into());
            facts.safe = Some(Height(9));
            facts.finality =
                Finality::Known { height: Height(8), hash: Some(block(0, 8)), time: Some(moment.head_time) };
            facts.syncing = Syncing::Yes { behind: Some(4) };
            (facts.round, facts.participation, facts.validators) = (Some(2), Some(660), Some(100));
            facts.checkpoints = vec![(Height(7), block(0, 7)), (Height(3), block(1, 3))];
            facts.identity = Some("peer-1".into());
            facts.equivocations =
                vec![Equivocation { height: Height(4), validator: "val\u{e9}".into(), told_in: Height(6) }];
            facts.upgrade = Some(Upgrade { name: "v2".into(), height: Height(99) });
            facts.clock = Some(moment.head_time);
            facts.head.transactions = Some(u64::MAX);
        })
    });
    world.run(3);
    let mut steps = steps(&mut world);
    let notice = Observation::Notice(Notice { network: NetworkIndex(0), planned: halt });
    steps.last_mut().unwrap().observations.push(notice);
    let mut recorder = Recorder::open(&spacious(folder.file("one.jsonl")), steps[0].now).unwrap();
    recorder.write(&steps).unwrap();
    let text = fs::read_to_string(folder.file("one.jsonl")).unwrap();
    // What a replay of the recording takes in is recorded anew: nothing may be missing or changed.
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sample = lines.iter().find(|line| line["k"] == "sample" && line["n"] == "A").unwrap();
    let head = block(0, sample["h"].as_u64().unwrap());
    for (key, wanted) in [
        ("hh", serde_json::json!(head.to_string())),
        ("genesis", serde_json::json!(BlockHash([7; 32]).to_string())),
        ("g", serde_json::json!([[7, block(0, 7).to_string()], [3, block(1, 3).to_string()]])),
        ("fh", serde_json::json!(block(0, 8).to_string())),
        ("syncing", serde_json::json!(1)),
        ("behind", serde_json::json!(4)),
        ("part", serde_json::json!(660)),
        ("identity", serde_json::json!("peer-1")),
        ("equivocations", serde_json::json!([[4, "val\u{e9}", 6]])),
        ("upgrade", serde_json::json!(["v2", 99])),
        ("ntx", serde_json::json!(u64::MAX)),
        ("safe", serde_json::json!(9)),
    ] {
        assert_eq!(sample[key], wanted, "{key} of {sample}");
    }
    let notices: Vec<_> = lines.iter().filter(|line| line["k"] == "notice").collect();
    assert_eq!(notices.len(), 2, "what the settings announce, and what was announced later: {text}");
    assert_eq!(notices[1]["from_w"], WALL + 5000);
    replayed(&folder.file("one.jsonl"));
}

#[test]
fn files_make_room_for_each_other_and_each_replays_by_itself() {
    let folder = Folder::new("roll");
    let mut world = World::of("A B C D");
    world.taken = Some(Vec::new());
    world.run(600);
    let steps = steps(&mut world);
    fs::write(folder.file("r.jsonl"), "an earlier recording\n").unwrap();
    let small = Settings { file: folder.file("r.jsonl"), max_size: 60_000, keep: 4 };
    let mut recorder = Recorder::open(&small, steps[0].now).unwrap();
    assert_eq!(fs::read_to_string(folder.file("r.jsonl.1")).unwrap(), "an earlier recording\n", "never written to");
    for steps in steps.chunks(10) {
        recorder.write(steps).unwrap();
    }
    assert_eq!(folder.names(), ["r.jsonl", "r.jsonl.1", "r.jsonl.2", "r.jsonl.3"]);
    for name in folder.names() {
        let file = folder.file(&name);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        assert!(fs::metadata(&file).unwrap().len() < 70_000, "{name}");
        let (announced, _) = replayed(&file);
        assert!(announced.iter().all(|it| it.2 == "Watchdog"), "{name}: {announced:?}");
    }
}

#[test]
fn other_settings_begin_another_file() {
    let folder = Folder::new("recast");
    let mut world = World::of("A B");
    world.taken = Some(Vec::new());
    world.run(20);
    let mut steps = steps(&mut world);
    let mut other = world.settings.clone();
    other.networks[0].name = "renamed".into();
    let other = Arc::new(other);
    let half = steps.len() / 2;
    steps[half..].iter_mut().for_each(|step| step.cast = Arc::clone(&other));
    let mut recorder = Recorder::open(&spacious(folder.file("c.jsonl")), steps[0].now).unwrap();
    recorder.write(&steps).unwrap();
    assert_eq!(replayed(&folder.file("c.jsonl.1")).1.networks[0].name, "main".into());
    assert_eq!(replayed(&folder.file("c.jsonl")).1.networks[0].name, "renamed".into());
}

#[test]
fn settings_that_are_read_again_and_change_nothing_of_it_go_on_in_the_same_file() {
    let folder = Folder::new("reload");
    let mut world = World::of("A B");
    world.taken = Some(Vec::new());
    world.run(20);
    let mut steps = steps(&mut world);
    let mut other = world.settings.clone();
    other.silences.clear();
    other.nodes[0].labels = vec![("team".into(), "x".into())];
    let other = Arc::new(other);
    let half = steps.len() / 2;
    steps[half..].iter_mut().for_each(|step| step.cast = Arc::clone(&other));
    let mut recorder = Recorder::open(&spacious(folder.file("s.jsonl")), steps[0].now).unwrap();
    recorder.write(&steps).unwrap();
    assert_eq!(folder.names(), ["s.jsonl"]);
    replayed(&folder.file("s.jsonl"));
}

fn config(node: &ScriptedNode, more: &str) -> File {
    let url = node.url();
    File::new(&format!(
        "{more}\n[monitor]\nname = \"m\"\n[web]\nlisten = [\"127.0.0.1:0\"]\n[[network]]\nname = \"main\"\n\
         family = \"evm\"\ninterval = \"100ms\"\n[[network.node]]\nname = \"one\"\nurl = \"{url}/S3CR3T\"\n"
    ))
}

/// Records from `node` until there are so many samples, or until the command ends by itself; then asks it to stop.
async fn record(node: &ScriptedNode, out: &Path, samples: usize) -> Output {
    let file = config(node, "");
    let mut child = Command::new(env!("CARGO_BIN_EXE_haltwatch"))
        .args(["record", "--config.file"])
        .arg(file.path())
        .arg("--out")
        .arg(out)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let watch = haltwatch::clock::Clock.stopwatch();
    while count_samples(out) < samples && child.try_wait().unwrap().is_none() {
        assert!(watch.elapsed() < Duration::from_secs(30), "nothing is recorded");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let pid = rustix::process::Pid::from_child(&child);
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    child.wait_with_output().unwrap()
}

fn count_samples(file: &Path) -> usize {
    let is_file = fs::metadata(file).is_ok_and(|it| it.is_file());
    if is_file { fs::read_to_string(file).unwrap().matches("\"k\":\"sample\"").count() } else { 0 }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_records_until_it_is_told_to_stop() {
    let folder = Folder::new("command");
    let node = ScriptedNode::start(healthy(7)).await;
    let output = record(&node, &folder.file("c.jsonl"), 3).await;
    assert!(output.status.success(), "{output:?}");
    let text = fs::read_to_string(folder.file("c.jsonl")).unwrap();
    assert!(!text.contains("S3CR3T") && !text.contains("127.0.0.1"), "no URL, no secret: {text}");
    let (_, cast) = replayed(&folder.file("c.jsonl"));
    assert_eq!(
        (&*cast.monitor, &*cast.nodes[0].name, cast.nodes[0].interval),
        ("m", "one", Duration::from_millis(100))
    );
    assert_eq!(
        (cast.networks[0].block_time, &cast.networks[0].chain_id),
        (None, &None),
        "what nobody declared is learned"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_ends_the_command_with_its_reason() {
    let node = ScriptedNode::start(healthy(7)).await;
    let output = record(&node, Path::new("/dev/full"), 1).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot record to /dev/full: ") && said.contains("No space left"), "{said}");
}

/// A limit on the size of files stands for a disk that is full in the middle of a line.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_whole_is_not_written_at_all() {
    let folder = Folder::new("full");
    let node = ScriptedNode::start(healthy(7)).await;
    let (file, out) = (config(&node, ""), folder.file("f.jsonl"));
    let script = format!(
        "trap '' XFSZ; ulimit -f 2; exec {} record --config.file {} --out {}",
        env!("CARGO_BIN_EXE_haltwatch"),
        file.path().display(),
        out.display()
    );
    let output = tokio::task::spawn_blocking(move || Command::new("bash").args(["-c", &script]).output());
    let output = tokio::time::timeout(Duration::from_secs(30), output).await.unwrap().unwrap().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot record to") && said.contains("File too large"), "{said}");
    replayed(&out);
    assert!(count_samples(&out) != 0, "what was written before is still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_records_what_it_decides_upon() {
    let folder = Folder::new("daemon");
    let node = ScriptedNode::start(healthy(7)).await;
    let out = folder.file("d.jsonl");
    let file = config(&node, &format!("[record]\nfile = \"{}\"\n", out.display()));
    let daemon = daemon::start(&file);
    eventually("samples are recorded", || 3 <= count_samples(&out)).await;
    assert!(daemon.stop().await);
    let (_, cast) = replayed(&out);
    assert_eq!(&*cast.networks[0].name, "main");
}
