//! The configuration file: what is accepted, what is refused, and that no refusal tells a secret.
#![allow(clippy::needless_raw_string_hashes, reason = "expect-test writes its texts that way")]
#![allow(clippy::too_many_lines, reason = "most lines are the texts that are expected")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use expect_test::{Expect, expect, expect_file};

use haltwatch::{
    config::{self, Config, Source},
    output::metrics::{FAMILIES, write::Kind},
};

fn load(text: &str) -> Result<Config, String> {
    config::load(&Source::Text(text.to_owned())).map_err(|problems| problems.to_string())
}

/// The settings alone: warnings have places, and depend on modes of files.
fn without_warnings(config: Config) -> Config {
    Config { warnings: config::Problems::default(), ..config }
}

fn example() -> String {
    fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config.toml.example")).unwrap()
}

#[test]
fn the_example_loads_as_it_stands() {
    let config = load(&example()).unwrap();
    assert_eq!((config.engine.networks.len(), config.engine.nodes.len()), (1, 2));
}

#[test]
fn every_default_the_example_states_is_the_true_one() {
    let example = example();
    let (defaults, others): (Vec<_>, Vec<_>) = example.lines().partition(|line| line.ends_with("# default"));
    assert!(30 < defaults.len());
    let settings = |text: &str| format!("{:#?}", without_warnings(load(text).unwrap()));
    assert_eq!(settings(&others.join("\n")), settings(&example));
}

/// The example with every key in use that is commented out there.
fn example_in_full() -> String {
    let example = example();
    let used = |line| match str::strip_prefix(line, "#") {
        Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => key,
        _ => line,
    };
    example.lines().map(used).collect::<Vec<_>>().join("\n")
}

/// The keys that no table of their section has in `text`. Keys of `[defaults]` need not be repeated further down.
fn keys_missing_in(text: &str) -> Vec<(&'static str, &'static str)> {
    let root: toml::Table = text.parse().unwrap();
    let has = |section: &str, key: &str| tables(&root, section).iter().any(|table| table.contains_key(key));
    let inherited = |section: &str, key| section.starts_with("network") && has("defaults", key);
    config::keys().into_iter().filter(|(section, key)| !has(section, key) && !inherited(section, key)).collect()
}

/// Every table that stands under a path like `network.node`, through arrays.
fn tables<'t>(root: &'t toml::Table, path: &str) -> Vec<&'t toml::Table> {
    path.split('.').filter(|step| !step.is_empty()).fold(vec![root], |tables, step| {
        let values = tables.into_iter().filter_map(|table| table.get(step));
        values
            .flat_map(|value| value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice))
            .filter_map(toml::Value::as_table)
            .collect()
    })
}

#[test]
fn the_example_names_every_key_there_is() {
    assert_eq!(keys_missing_in(&example_in_full()), []);
}

/// What stands commented out in the example works too, once its secrets are there.
#[test]
fn the_commented_keys_of_the_example_are_right() {
    let full = example_in_full();
    // Of the ways to authenticate, one; certificates belong to addresses with TLS.
    let others = ["basic_auth =", "cookie_file =", "ca_file =", "client_cert =", "client_key ="];
    let lines: Vec<&str> = full.lines().filter(|line| !others.iter().any(|other| line.starts_with(other))).collect();
    let files =
        ["/etc/haltwatch/alertmanager-token", "/etc/haltwatch/discovery-token", "${CREDENTIALS_DIRECTORY}/rpc-token"];
    let text = files.iter().fold(lines.join("\n"), |text, file| text.replace(&format!("${{file:{file}}}"), "secret"));
    assert_eq!(text.matches("\nbearer_token = \"secret\"").count(), 3);
    load(&text).unwrap();
}

/// A network that is right, to stand behind something that is not.
const RIGHT: &str =
    "\n[[network]]\nname = \"n\"\nfamily = \"evm\"\n[[network.node]]\nname = \"a\"\nurl = \"http://127.0.0.1:8545\"\n";

/// Checks what is said about `wrong`, which stands before a right network.
#[track_caller]
fn refused(wrong: &str, expect: &Expect) {
    expect.assert_eq(&load(&format!("{wrong}{RIGHT}")).unwrap_err());
}

/// Checks what is said about keys of the network `n`, whose header is on line 1 and whose node is right.
#[track_caller]
fn network_refused(keys: &str, expect: &Expect) {
    let text =
        format!("[[network]]\nname = \"n\"\nfamily = \"evm\"\n{keys}\nnode = [{{ name = \"a\", url = \"http://a\" }}]");
    expect.assert_eq(&load(&text).unwrap_err());
}

/// Checks what is said about keys of the node `a`, which begin on line 8.
#[track_caller]
fn node_refused(keys: &str, expect: &Expect) {
    expect.assert_eq(&load(&format!("{RIGHT}{keys}\n")).unwrap_err());
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_known_one() {
    refused(
        r#"[monitor]
naem = "x""#,
        &expect![[r#"
            <text>:2:1: error[E003]: unknown key `naem`
            2 | naem = "<redacted>"
              | ^^^^
              = help: did you mean `name`?"#]],
    );
    refused(
        r#"[netwrk]
name = "x""#,
        &expect![[r#"
            <text>:1:2: error[E003]: unknown key `netwrk`
            1 | netwrk
              | ^^^^^^
              = help: did you mean `network`?"#]],
    );
    refused(
        r#"[[networks]]
name = "x""#,
        &expect![[r#"
            <text>:1:3: error[E003]: unknown key `networks`
            1 | networks
              | ^^^^^^^^
              = help: did you mean `network`? `networks` belongs into [[rule]]"#]],
    );
    refused(
        r#"[web]
enable-lifecycle = true"#,
        &expect![[r#"
            <text>:2:1: error[E003]: unknown key `enable-lifecycle`
            2 | enable-lifecycle = "<redacted>"
              | ^^^^^^^^^^^^^^^^
              = help: did you mean `enable_lifecycle`?"#]],
    );
    refused(
        r#"zzz = 1"#,
        &expect![[r#"
            <text>:1:1: error[E003]: unknown key `zzz`
            1 | zzz = "<redacted>"
              | ^^^
              = help: known here: monitor, web, probe, record, alertmanager, defaults, discovery, network, rule, silence"#]],
    );
    refused(
        r#"[defaults]
abcdefgh = 1"#,
        &expect![[r#"
            <text>:2:1: error[E003]: unknown key `abcdefgh`
            2 | abcdefgh = "<redacted>"
              | ^^^^^^^^
              = help: known here: missing_blocks, halt_floor, split_blocks, finality_factor, reorg_depth, interval, timeout, min_peers, body_limit, requests_per_second, offline_after, offline_attempts, lag_seconds, lag_block_times, slow_latency, slow_factor, error_ratio, error_count, sustained, clock_skew, nodes_offline, unreachable_after, recovery_blocks, horizon, finality_floor, split_after, slow_after, confirmation_limit, empty_after, upgrade_window, flap_window"#]],
    );
}

#[test]
fn values_of_the_wrong_type_are_refused() {
    refused(
        r#"[monitor]
name = 5"#,
        &expect![[r#"
            <text>:2:8: error[E005]: `name` must be a string, not an integer
            2 | name = 5
              |        ^
              = help: write it in quotes"#]],
    );
    refused(
        r#"[monitor]
canaries = "192.0.2.1:53""#,
        &expect![[r#"
            <text>:2:12: error[E005]: `canaries` must be an array, not a string
            2 | canaries = "<redacted>"
              |            ^^^^^^^^^^^^
              = help: write it as ["…", "…"]"#]],
    );
    refused(
        r#"[web]
enable_lifecycle = "yes""#,
        &expect![[r#"
            <text>:2:20: error[E005]: `enable_lifecycle` must be true or false, not a string
            2 | enable_lifecycle = "yes"
              |                    ^^^^^
              = help: write it without quotes"#]],
    );
    refused(
        r#"[web]
max_connections = 1.5"#,
        &expect![[r#"
            <text>:2:19: error[E005]: `max_connections` must be a whole number, not a float
            2 | max_connections = 1.5
              |                   ^^^
              = help: write it without quotes"#]],
    );
    refused(
        r#"web = 1"#,
        &expect![[r#"
            <text>:1:7: error[E005]: `web` must be a table, not an integer
            1 | web = "<redacted>"
              |       ^^^^^^^^^^^^
              = help: write [web]"#]],
    );
    refused(
        r#"[defaults]
error_ratio = "1%""#,
        &expect![[r#"
            <text>:2:15: error[E005]: `error_ratio` must be a number, not a string
            2 | error_ratio = "1%"
              |               ^^^^
              = help: write it without quotes"#]],
    );
    refused(
        r#"[[monitor]]
name = "x""#,
        &expect![[r#"
            <text>:1:1: error[E005]: `monitor` must be a table, not an array
            1 | monitor = […]
              |           ^^^
              = help: write [monitor]"#]],
    );
    refused(
        r#"defaults = [1]"#,
        &expect![[r#"
            <text>:1:12: error[E005]: `defaults` must be a table, not an array
            1 | defaults = […]
              |            ^^^
              = help: write [defaults]"#]],
    );
}

#[test]
fn durations_need_a_unit_and_a_sane_length() {
    refused(
        r#"[defaults]
interval = 5"#,
        &expect![[r#"
            <text>:2:12: error[E005]: `interval` must be a duration, not an integer
            2 | interval = 5
              |            ^
              = help: write a number with its unit, like "500ms", "5s", "5m" or "1h30m""#]],
    );
    refused(
        r#"[defaults]
interval = "5""#,
        &expect![[r#"
            <text>:2:12: error[E006]: "5" is not a duration
            2 | interval = "5"
              |            ^^^
              = help: write a number with its unit, like "500ms", "5s", "5m" or "1h30m""#]],
    );
    refused(
        r#"[defaults]
interval = "5x""#,
        &expect![[r#"
            <text>:2:12: error[E006]: "5x" is not a duration
            2 | interval = "5x"
              |            ^^^^
              = help: write a number with its unit, like "500ms", "5s", "5m" or "1h30m""#]],
    );
    refused(
        r#"[defaults]
interval = "99ms""#,
        &expect![[r#"
            <text>:2:12: error[E007]: "99ms" is out of range
            2 | interval = "99ms"
              |            ^^^^^^
              = help: `interval` is 100ms to 1h"#]],
    );
    refused(
        r#"[defaults]
interval = "2h""#,
        &expect![[r#"
            <text>:2:12: error[E007]: "2h" is out of range
            2 | interval = "2h"
              |            ^^^^
              = help: `interval` is 100ms to 1h"#]],
    );
    refused(
        r#"[defaults]
timeout = "0s""#,
        &expect![[r#"
            <text>:2:11: error[E007]: "0s" is out of range
            2 | timeout = "0s"
              |           ^^^^
              = help: `timeout` is 1ms to 1m"#]],
    );
    refused(
        r#"[defaults]
timeout = "61s""#,
        &expect![[r#"
            <text>:2:11: error[E007]: "61s" is out of range
            2 | timeout = "61s"
              |           ^^^^^
              = help: `timeout` is 1ms to 1m"#]],
    );
    refused(
        r#"[defaults]
halt_floor = "0s""#,
        &expect![[r#"
            <text>:2:14: error[E007]: "0s" is out of range
            2 | halt_floor = "0s"
              |              ^^^^
              = help: `halt_floor` is 1ms to 30days"#]],
    );
    refused(
        r#"[defaults]
halt_floor = "-5s""#,
        &expect![[r#"
            <text>:2:14: error[E006]: "-5s" is not a duration
            2 | halt_floor = "-5s"
              |              ^^^^^
              = help: write a number with its unit, like "500ms", "5s", "5m" or "1h30m""#]],
    );
    refused(
        r#"[defaults]
sustained = "99999999999999999999y""#,
        &expect![[r#"
            <text>:2:13: error[E006]: "99999999999999999999y" is not a duration
            2 | sustained = "99999999999999999999y"
              |             ^^^^^^^^^^^^^^^^^^^^^^^
              = help: write a number with its unit, like "500ms", "5s", "5m" or "1h30m""#]],
    );
}

#[test]
fn numbers_out_of_range_are_refused() {
    refused(
        r#"[defaults]
error_ratio = 1.01"#,
        &expect![[r#"
            <text>:2:15: error[E007]: 1.01 is out of range
            2 | error_ratio = 1.01
              |               ^^^^
              = help: `error_ratio` is 0 to 1"#]],
    );
    refused(
        r#"[defaults]
error_ratio = nan"#,
        &expect![[r#"
            <text>:2:15: error[E007]: nan is out of range
            2 | error_ratio = nan
              |               ^^^
              = help: `error_ratio` is 0 to 1"#]],
    );
    refused(
        r#"[defaults]
error_ratio = -0.5"#,
        &expect![[r#"
            <text>:2:15: error[E007]: -0.5 is out of range
            2 | error_ratio = -0.5
              |               ^^^^
              = help: `error_ratio` is 0 to 1"#]],
    );
    refused(
        r#"[defaults]
missing_blocks = 0"#,
        &expect![[r#"
            <text>:2:18: error[E007]: 0 is out of range
            2 | missing_blocks = 0
              |                  ^
              = help: `missing_blocks` is 1 to 1000000"#]],
    );
    refused(
        r#"[defaults]
min_peers = -1"#,
        &expect![[r#"
            <text>:2:13: error[E007]: -1 is out of range
            2 | min_peers = -1
              |             ^^
              = help: `min_peers` is 0 to 1000000"#]],
    );
    refused(
        r#"[defaults]
requests_per_second = 0"#,
        &expect![[r#"
            <text>:2:23: error[E007]: 0 is out of range
            2 | requests_per_second = 0
              |                       ^
              = help: `requests_per_second` is 0.001 to 100000"#]],
    );
    refused(
        r#"[defaults]
body_limit = "4MB""#,
        &expect![[r#"
            <text>:2:14: error[E006]: "4MB" is not a size
            2 | body_limit = "4MB"
              |              ^^^^^
              = help: write bytes, or a size like "64KiB" or "4MiB""#]],
    );
    refused(
        r#"[defaults]
body_limit = 0"#,
        &expect![[r#"
            <text>:2:14: error[E007]: 0 is out of range
            2 | body_limit = 0
              |              ^
              = help: `body_limit` is 1KiB to 1GiB"#]],
    );
    refused(
        r#"[defaults]
slow_factor = 99999999999999999999"#,
        &expect![[r#"
            <text>:2:15: error[E007]: 99999999999999999999 is out of range
            2 | slow_factor = 99999999999999999999
              |               ^^^^^^^^^^^^^^^^^^^^
              = help: `slow_factor` is 1 to 1000000"#]],
    );
    refused(
        r#"[web]
max_connections = 0"#,
        &expect![[r#"
            <text>:2:19: error[E007]: 0 is out of range
            2 | max_connections = 0
              |                   ^
              = help: `max_connections` is 1 to 65536"#]],
    );
}

#[test]
fn addresses_must_be_usable() {
    refused(
        r#"[web]
listen = ["localhost:http0"]"#,
        &expect![[r#"
            <text>:2:11: error[E006]: "localhost:http0" is not a socket address
            2 | listen = [… "localhost:http0" …]
              |             ^^^^^^^^^^^^^^^^^
              = help: write an address and a port, like "127.0.0.1:10019" or "[::]:10019""#]],
    );
    refused(
        r#"[web]
listen = []"#,
        &expect![[r#"
            <text>:2:10: error[E007]: `listen` has 0 elements
            2 | listen = […]
              |          ^^^
              = help: 1 to 64 are allowed"#]],
    );
    refused(
        r#"[web]
listen = ["[::1]:1", "[::1]:1"]"#,
        &expect![[r#"
            <text>:2:22: error[E009]: this address is taken on line 2
            2 | listen = [… "[::1]:1" …]
              |             ^^^^^^^^^
              = help: remove one of them"#]],
    );
    refused(
        r#"[monitor]
canaries = ["192.0.2.1"]"#,
        &expect![[r#"
            <text>:2:13: error[E006]: "192.0.2.1" is not an address
            2 | canaries = [… "192.0.2.1" …]
              |               ^^^^^^^^^^^
              = help: write "host:port""#]],
    );
    refused(
        r#"[monitor]
canaries = [
  "gateway:53",
  "http://user:S3CR3T@h:1",
  "gateway:53",
]"#,
        &expect![[r#"
            <text>:4:3: error[E006]: the value is not an address
            4 | canaries = [… "<redacted>" …]
              |               ^^^^^^^^^^^^
              = help: write "host:port"
            <text>:5:3: error[E009]: this canary is taken on line 3
            5 | canaries = [… "gateway:53" …]
              |               ^^^^^^^^^^^^
              = help: remove one of them"#]],
    );
    refused(
        r#"[web]
external_url = "haltwatch""#,
        &expect![[r#"
            <text>:2:16: error[E010]: `external_url`: not a URL; wanted something like https://host:port/path
            2 | external_url = "<redacted>"
              |                ^^^^^^^^^^^^
              = help: write scheme://host:port/path"#]],
    );
}

#[test]
fn alertmanagers_must_be_usable() {
    refused(
        r#"[alertmanager]
timeout = "5s""#,
        &expect![[r#"
            <text>:1:1: error[E004]: `urls` is missing in alertmanager
            1 | [alertmanager]
              | ^^^^^^^^^^^^^^
              = help: ask `haltwatch config explain alertmanager.urls`"#]],
    );
    refused(
        r#"[alertmanager]
urls = []"#,
        &expect![[r#"
            <text>:2:8: error[E007]: `urls` has 0 elements
            2 | urls = […]
              |        ^^^
              = help: 1 to 16 are allowed"#]],
    );
    refused(
        r#"[alertmanager]
urls = ["http://a:9093", "http://a:9093"]"#,
        &expect![[r#"
            <text>:2:26: error[E009]: this Alertmanager is taken on line 2
            2 | urls = [… "<redacted>" …]
              |           ^^^^^^^^^^^^
              = help: remove one of them"#]],
    );
    refused(
        r#"[alertmanager]
urls = ["a:9093", "ws://S3CR3T"]"#,
        &expect![[r#"
            <text>:2:9: error[E010]: `urls`: not a URL; wanted something like https://host:port/path
            2 | urls = [… "<redacted>" …]
              |           ^^^^^^^^^^^^
              = help: write scheme://host:port/path
            <text>:2:19: error[E010]: `urls`: the scheme must be one of http, https
            2 | urls = [… "<redacted>" …]
              |           ^^^^^^^^^^^^
              = help: write scheme://host:port/path"#]],
    );
    refused(
        r#"[alertmanager]
urls = ["http://a"]
external_labels = { alertname = "x" }"#,
        &expect![[r#"
            <text>:3:21: error[E012]: haltwatch gives this label its own meaning
              = help: choose another name"#]],
    );
    refused(
        r#"[alertmanager]
urls = ["http://a"]
resend = "0s""#,
        &expect![[r#"
            <text>:3:10: error[E007]: "0s" is out of range
            3 | resend = "0s"
              |          ^^^^
              = help: `resend` is 1s to 1h"#]],
    );
}

#[test]
fn networks_must_make_sense() {
    network_refused(
        r#"chain_id = -1"#,
        &expect![[r#"
            <text>:4:12: error[E006]: a chain id is not negative and fits 64 bits
            4 | chain_id = -1
              |            ^^"#]],
    );
    network_refused(
        r#"chain_id = true"#,
        &expect![[r#"
            <text>:4:12: error[E005]: `chain_id` must be a string, not a boolean
            4 | chain_id = true
              |            ^^^^
              = help: write it in quotes"#]],
    );
    network_refused(
        r#"genesis = "0x12""#,
        &expect![[r#"
            <text>:4:11: error[E006]: `genesis` is not a hash
            4 | genesis = "0x12"
              |           ^^^^^^
              = help: write 0x and 64 hexadecimal digits"#]],
    );
    network_refused(
        r#"genesis = "0xgggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg""#,
        &expect![[r#"
            <text>:4:11: error[E006]: `genesis` is not a hash
            4 | genesis = "<redacted>"
              |           ^^^^^^^^^^^^
              = help: write 0x and 64 hexadecimal digits"#]],
    );
    network_refused(
        r#"cadence = "intervall""#,
        &expect![[r#"
            <text>:4:11: error[E008]: "intervall" is not a known cadence
            4 | cadence = "intervall"
              |           ^^^^^^^^^^^
              = help: did you mean "interval"?"#]],
    );
    network_refused(
        r#"block_time = "0s""#,
        &expect![[r#"
            <text>:4:14: error[E007]: "0s" is out of range
            4 | block_time = "0s"
              |              ^^^^
              = help: `block_time` is 1ms to 1day"#]],
    );
    network_refused(
        r#"tolerance = "raft""#,
        &expect![[r#"
            <text>:4:13: error[E008]: "raft" is not a known tolerance
            4 | tolerance = "raft"
              |             ^^^^^^
              = help: one of bft, two_thirds, majority, all_but_one"#]],
    );
    network_refused(
        r#"labels = { level = "x" }"#,
        &expect![[r#"
            <text>:4:12: error[E012]: haltwatch gives this label its own meaning
              = help: choose another name"#]],
    );
    network_refused(
        r#"labels = { "a b" = "x", __c = "x", "9" = "x", ok = "" }"#,
        &expect![[r#"
            <text>:4:12: error[E012]: not the name of a label
              = help: letters, digits and _, no digit first
            <text>:4:25: error[E012]: names of labels that start with __ belong to Prometheus
              = help: choose another name
            <text>:4:36: error[E012]: not the name of a label
              = help: letters, digits and _, no digit first
            <text>:4:52: error[E006]: not a usable value of a label
              = help: 1 to 128 bytes without control characters"#]],
    );
    network_refused(
        r#"labels = { l00 = "x", l01 = "x", l02 = "x", l03 = "x", l04 = "x", l05 = "x", l06 = "x", l07 = "x", l08 = "x", l09 = "x", l10 = "x", l11 = "x", l12 = "x", l13 = "x", l14 = "x", l15 = "x", l16 = "x" }"#,
        &expect![[r#"
            <text>:4:10: error[E007]: 17 labels are too many
            4 | labels = { … }
              |          ^^^^^
              = help: at most 16, inherited ones included"#]],
    );
    network_refused(
        r#"labels = ["x"]"#,
        &expect![[r#"
            <text>:4:10: error[E005]: `labels` must be a table, not an array
            4 | labels = […]
              |          ^^^
              = help: write labels = { name = "value" }"#]],
    );
    network_refused(
        r#"depends_on = ["m"]"#,
        &expect![[r#"
            <text>:4:15: error[E013]: there is no network "m"
            4 | depends_on = [… "m" …]
              |                 ^^^
              = help: the name of another [[network]]"#]],
    );
    network_refused(
        r#"depends_on = ["n"]"#,
        &expect![[r#"
            <text>:4:15: error[E014]: depends_on runs in a circle: "n" -> "n"
            4 | depends_on = [… "n" …]
              |                 ^^^
              = help: a network cannot explain its own halt"#]],
    );
    network_refused(
        r#"depends_on = "n""#,
        &expect![[r#"
            <text>:4:14: error[E005]: `depends_on` must be an array, not a string
            4 | depends_on = "<redacted>"
              |              ^^^^^^^^^^^^
              = help: write it as ["…", "…"]"#]],
    );
}

#[test]
fn nodes_must_make_sense() {
    node_refused(
        r#"ws = "http://127.0.0.1:8546""#,
        &expect![[r#"
            <text>:8:6: error[E010]: `ws`: the scheme must be one of ws, wss
            8 | ws = "<redacted>"
              |      ^^^^^^^^^^^^
              = help: write scheme://host:port/path"#]],
    );
    node_refused(
        r#"role = "valdiator""#,
        &expect![[r#"
            <text>:8:8: error[E008]: "valdiator" is not a known role
            8 | role = "valdiator"
              |        ^^^^^^^^^^^
              = help: did you mean "validator"?"#]],
    );
    node_refused(
        r#"core = "yes""#,
        &expect![[r#"
            <text>:8:8: error[E005]: `core` must be true or false, not a string
            8 | core = "yes"
              |        ^^^^^
              = help: write it without quotes"#]],
    );
    node_refused(
        r#"weight = 0"#,
        &expect![[r#"
            <text>:8:10: error[E007]: 0 is out of range
            8 | weight = 0
              |          ^
              = help: `weight` is 1 to 1000000000"#]],
    );
    node_refused(
        r#"weight = 2000000000"#,
        &expect![[r#"
            <text>:8:10: error[E007]: 2000000000 is out of range
            8 | weight = 2000000000
              |          ^^^^^^^^^^
              = help: `weight` is 1 to 1000000000"#]],
    );
    node_refused(
        r#"weight = -999999999999999999999999999999999999999999"#,
        &expect![[r#"
            <text>:8:10: error[E007]: -999999999999999999999999999999999999999999 is out of range
            8 | weight = -999999999999999999999999999999999999999999
              |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
              = help: `weight` is 1 to 1000000000"#]],
    );
    node_refused(
        r#"labels = { a = 5 }"#,
        &expect![[r#"
            <text>:8:16: error[E005]: the value must be a string, not an integer
              = help: write it in quotes"#]],
    );
    node_refused(
        r#"[[network.node]]
name = "a"
url = "http://b""#,
        &expect![[r#"
            <text>:9:8: error[E009]: this name is taken on line 6
            9 | name = "a"
              |        ^^^
              = help: names of nodes are unique within their network"#]],
    );
    node_refused(
        r#"[[network.node]]
name = "b"
url = "http://127.0.0.1:8545""#,
        &expect![[r#"
            <text>:10:7: error[E009]: this URL is taken on line 7
            10 | url = "<redacted>"
               |       ^^^^^^^^^^^^
               = help: the same node twice would have two votes"#]],
    );
    node_refused(
        r#"[[network.node]]"#,
        &expect![[r#"
            <text>:8:1: error[E004]: `name` is missing in network.node
            8 | [[network.node]]
              | ^^^^^^^^^^^^^^^^
              = help: ask `haltwatch config explain network.node.name`
            <text>:8:1: error[E004]: `url` is missing in network.node
            8 | [[network.node]]
              | ^^^^^^^^^^^^^^^^
              = help: ask `haltwatch config explain network.node.url`"#]],
    );
    node_refused(
        r#"[[network.node]]
name = "b"
url = "http://b:99999""#,
        &expect![[r#"
            <text>:10:7: error[E010]: `url`: the port must be a number from 1 to 65535
            10 | url = "<redacted>"
               |       ^^^^^^^^^^^^
               = help: write scheme://host:port/path"#]],
    );
    node_refused(
        r#"[[network.node]]
name = " b"
url = "b""#,
        &expect![[r#"
            <text>:9:8: error[E006]: `name` is not a usable name
            9 | name = " b"
              |        ^^^^
              = help: 1 to 64 characters, no control characters, no spaces around it
            <text>:10:7: error[E010]: `url`: not a URL; wanted something like https://host:port/path
            10 | url = "<redacted>"
               |       ^^^^^^^^^^^^
               = help: write scheme://host:port/path"#]],
    );
    node_refused(
        r#"missing_blocks = 5"#,
        &expect![[r#"
            <text>:8:1: error[E003]: unknown key `missing_blocks`
            8 | missing_blocks = "<redacted>"
              | ^^^^^^^^^^^^^^
              = help: it belongs into [defaults] or [[network]]"#]],
    );
}

#[test]
fn credentials_must_be_usable() {
    node_refused(
        r#"bearer_token = "Bearer S3CR3T""#,
        &expect![[r#"
            <text>:8:16: error[E006]: `bearer_token` is not a token
            8 | bearer_token = "<redacted>"
              |                ^^^^^^^^^^^^
              = help: one word, without "Bearer" in front of it"#]],
    );
    node_refused(
        r#"bearer_token = "S3CR3T"
basic_auth = { username = "S3CR3T", password = "S3CR3T" }"#,
        &expect![[r#"
            <text>:9:14: error[E009]: Authorization is given twice
            9 | basic_auth = { … }
              |              ^^^^^
              = help: give one of bearer_token, basic_auth and a header Authorization"#]],
    );
    node_refused(
        r#"bearer_token = "S3CR3T"
headers = { authorization = "S3CR3T" }"#,
        &expect![[r#"
            <text>:8:16: error[E009]: Authorization is given twice
            8 | bearer_token = "<redacted>"
              |                ^^^^^^^^^^^^
              = help: give one of bearer_token, basic_auth and a header Authorization"#]],
    );
    node_refused(
        r#"basic_auth = { username = "S3:CR3T", password = "x" }"#,
        &expect![[r#"
            <text>:8:27: error[E006]: `username` must not hold a colon
            8 | username = "<redacted>"
              |            ^^^^^^^^^^^^
              = help: it would end the name there"#]],
    );
    node_refused(
        r#"basic_auth = { username = "S3CR3T" }"#,
        &expect![[r#"
            <text>:8:14: error[E004]: `password` is missing in network.node.basic_auth
              = help: ask `haltwatch config explain network.node.basic_auth.password`"#]],
    );
    node_refused(
        r#"basic_auth = { usernam = "S3CR3T", S3CR3T = 1, password = "S3CR3T" }"#,
        &expect![[r#"
            <text>:8:14: error[E004]: `username` is missing in network.node.basic_auth
              = help: ask `haltwatch config explain network.node.basic_auth.username`
            <text>:8:16: error[E003]: unknown key
              = help: did you mean `username`?
            <text>:8:36: error[E003]: unknown key
              = help: known here: username, password"#]],
    );
    node_refused(
        r#"basic_auth = "S3CR3T""#,
        &expect![[r#"
            <text>:8:14: error[E005]: `basic_auth` must be a table, not a string
            8 | basic_auth = "<redacted>"
              |              ^^^^^^^^^^^^
              = help: write basic_auth = { … }"#]],
    );
    node_refused(
        r#"headers = { "S3CR3T: x" = "S3CR3T" }"#,
        &expect![[r#"
            <text>:8:13: error[E012]: not the name of a header
              = help: write headers = { Name = "value" }"#]],
    );
    node_refused(
        r#"headers = { Host = "S3CR3T" }"#,
        &expect![[r#"
            <text>:8:13: error[E012]: haltwatch sets this header itself
              = help: remove it"#]],
    );
    node_refused(
        r#"headers = { X-Key = "S3CR3T\n" }"#,
        &expect![[r#"
            <text>:8:21: error[E006]: not a value a header can have
              = help: printable ASCII on one line"#]],
    );
    node_refused(
        r#"headers = { X-Key = 5 }"#,
        &expect![[r#"
            <text>:8:21: error[E005]: the value must be a string, not an integer
              = help: write it in quotes"#]],
    );
    node_refused(
        r#"headers = { X-Key = "a", x-key = "S3CR3T" }"#,
        &expect![[r#"
            <text>:8:26: error[E009]: this header is given twice
              = help: the case of letters does not matter"#]],
    );
}

#[test]
fn references_to_secrets_must_lead_somewhere() {
    node_refused(
        r#"bearer_token = "${HALTWATCH_TEST_NOT_SET}""#,
        &expect![[r#"
            <text>:8:16: error[E011]: the environment variable HALTWATCH_TEST_NOT_SET is not set
            8 | bearer_token = "<redacted>"
              |                ^^^^^^^^^^^^
              = help: set it where haltwatch starts"#]],
    );
    node_refused(
        r#"bearer_token = "${file:/nonexistent/token}""#,
        &expect![[r#"
            <text>:8:16: error[E011]: the secret file /nonexistent/token cannot be read: No such file or directory (os error 2)
            8 | bearer_token = "<redacted>"
              |                ^^^^^^^^^^^^
              = help: check path and owner"#]],
    );
    node_refused(
        r#"bearer_token = "${file:${HALTWATCH_TEST_NOT_SET}/x}""#,
        &expect![[r#"
            <text>:8:16: error[E011]: the environment variable HALTWATCH_TEST_NOT_SET is not set
            8 | bearer_token = "<redacted>"
              |                ^^^^^^^^^^^^
              = help: set it where haltwatch starts"#]],
    );
    node_refused(
        r#"bearer_token = "${""#,
        &expect![[r#"
            <text>:8:16: error[E011]: `${` is not closed
            8 | bearer_token = "<redacted>"
              |                ^^^^^^^^^^^^
              = help: write ${NAME}, ${file:/path} or, for the characters themselves, $${"#]],
    );
    node_refused(
        r#"bearer_token = "${S3CR3T!}""#,
        &expect![[r#"
            <text>:8:16: error[E011]: what stands between `${` and `}` is not the name of a variable
            8 | bearer_token = "<redacted>"
              |                ^^^^^^^^^^^^
              = help: write ${NAME}, ${file:/path} or, for the characters themselves, $${"#]],
    );
    node_refused(
        r#"bearer_token = "${file:/}""#,
        &expect![[r#"
            <text>:8:16: error[E011]: the secret file / cannot be read: not a regular file
            8 | bearer_token = "<redacted>"
              |                ^^^^^^^^^^^^
              = help: check path and owner"#]],
    );
    node_refused(
        r#"interval = "${CARGO_PKG_NAME}""#,
        &expect![[r#"
            <text>:8:12: error[E006]: the value is not a duration
            8 | interval = "<redacted>"
              |            ^^^^^^^^^^^^
              = help: write a number with its unit, like "500ms", "5s", "5m" or "1h30m""#]],
    );
    node_refused(
        r#"role = "${CARGO_PKG_NAME}""#,
        &expect![[r#"
            <text>:8:8: error[E008]: the value is not a known role
            8 | role = "<redacted>"
              |        ^^^^^^^^^^^^
              = help: one of validator, sealer, observer, rpc, sentry, archive, bootnode"#]],
    );
}

#[test]
fn every_problem_is_told_in_one_run_in_the_order_of_the_file() {
    let text = "\
[[network]]
name = \"b\"
family = \"evm\"
depends_on = [\"a\", \"c\"]
  [[network.node]]
  name = \"x\"
  url = \"http://127.0.0.1:1\"
  weight = 0

[defaults]
timeout = 5

[[network]]
name = \"a\"
depends_on = [\"b\"]

[monitor]
nam = \"x\"
";
    expect![[r#"
        <text>:4:15: error[E014]: depends_on runs in a circle: "b" -> "a" -> "b"
        4 | depends_on = [… "a" …]
          |                 ^^^
          = help: a network cannot explain its own halt
        <text>:4:20: error[E013]: there is no network "c"
        4 | depends_on = [… "c" …]
          |                 ^^^
          = help: the name of another [[network]]
        <text>:8:12: error[E007]: 0 is out of range
        8 | weight = 0
          |          ^
          = help: `weight` is 1 to 1000000000
        <text>:11:11: error[E005]: `timeout` must be a duration, not an integer
        11 | timeout = 5
           |           ^
           = help: write a number with its unit, like "500ms", "5s", "5m" or "1h30m"
        <text>:13:1: error[E004]: `family` is missing in network
        13 | [[network]]
           | ^^^^^^^^^^^
           = help: ask `haltwatch config explain network.family`
        <text>:13:1: error[E004]: the network has no node
        13 | [[network]]
           | ^^^^^^^^^^^
           = help: add [[network.node]] with name and url below it
        <text>:18:1: error[E003]: unknown key `nam`
        18 | nam = "<redacted>"
           | ^^^
           = help: did you mean `name`?"#]]
    .assert_eq(&load(text).unwrap_err());
}

#[test]
fn a_syntax_error_does_not_hide_the_other_problems() {
    let text = "\
[monitor
name = \"x\"
[defaults]
interval = 5s
timeout = \"61s\"
token S3CR3T
[[network]]
name = \"a\"
url = \"S3CR3T
famly = \"evm\"
";
    expect![[r#"
        <text>:1:9: error[E002]: the header is not closed
          = help: write [name] or [[name]]
        <text>:4:12: error[E002]: a value is missing, or a text without quotes
          = help: write it in straight quotes, like "text"
        <text>:5:11: error[E007]: "61s" is out of range
        5 | timeout = "61s"
          |           ^^^^^
          = help: `timeout` is 1ms to 1m
        <text>:6:7: error[E002]: this is no key with a value
          = help: write key = value, or # before a comment
        <text>:9:14: error[E002]: the text in quotes is not right
          = help: close the quote, and write \ as \\
        <text>:10:1: error[E003]: unknown key `famly`
        10 | famly = "<redacted>"
           | ^^^^^
           = help: did you mean `family`?"#]]
    .assert_eq(&load(text).unwrap_err());
}

#[test]
fn the_usual_mistakes_are_told_in_plain_words() {
    for (text, expect) in [
        (
            "[monitor]\nname = “watch”",
            expect![[r#"
                <text>:2:8: error[E002]: a value is missing, or a text without quotes
                  = help: write it in straight quotes, like "text""#]],
        ),
        (
            "[monitor]\nname = 'watch\"",
            expect![[r#"
                <text>:2:15: error[E002]: the quote ' is not closed
                  = help: write it in straight quotes, like "text""#]],
        ),
        (
            "[web]\n[monitor]\n[web]",
            expect![[r#"
                <text>:3:2: error[E002]: this stands here for the second time
                  = help: remove one; tables of which there are many are written [[network]], above what belongs to them"#]],
        ),
        (
            "network:\n  - name: S3CR3T\n",
            expect![[r#"
                <text>:1:9: error[E002]: this is no key with a value
                  = help: write key = value, or # before a comment
                <text>:2:5: error[E002]: this is no key with a value
                  = help: write key = value, or # before a comment"#]],
        ),
        (
            "[[network.node]]\nname = \"a\"\nurl = \"http://S3CR3T\"\n[[network]]\nname = \"n\"\nfamily = \"evm\"",
            expect![[r#"
                <text>:1:3: error[E005]: what belongs to [[network]] stands above it
                  = help: write [[network]] first
                <text>:4:3: error[E002]: this stands here for the second time
                  = help: remove one; tables of which there are many are written [[network]], above what belongs to them"#]],
        ),
        (
            "[[network]]\nname = \"n\"\nfamily = \"evm\"\n[network.node]\nname = \"a\"\nurl = \"http://S3CR3T\"",
            expect![[r#"
                <text>:4:1: error[E005]: [network.node] must be [[network.node]]
                4 | [network.node]
                  | ^^^^^^^^^^^^^^
                  = help: write [[network.node]]"#]],
        ),
        (
            "network = { name = \"S3CR3T\" }",
            expect![[r#"
                <text>:1:11: error[E005]: `network` must be an array of tables, not a table
                1 | network = { … }
                  |           ^^^^^
                  = help: write [[network]]"#]],
        ),
    ] {
        let told = load(text).unwrap_err();
        assert!(!told.contains("S3CR3T"), "{told}");
        expect.assert_eq(&told);
    }
}

#[test]
fn a_variable_without_braces_is_not_sent_to_a_node() {
    node_refused(
        "ws = \"ws://S3CR3T/v3/$RPC_KEY\"\nbearer_token = \"$RPC_KEY\"",
        &expect![[r#"
            <text>:8:6: error[E011]: `ws`: a variable needs braces
            8 | ws = "<redacted>"
              |      ^^^^^^^^^^^^
              = help: write ${NAME}; $ itself is %24 here
            <text>:9:16: error[E011]: a variable needs braces
            9 | bearer_token = "<redacted>"
              |                ^^^^^^^^^^^^
              = help: write ${NAME}"#]],
    );
}

#[test]
fn the_path_of_the_api_is_not_asked_for_twice() {
    refused(
        "[alertmanager]\nurls = [\"http://S3CR3T/am/api/v2/alerts\"]",
        &expect![[r#"
            <text>:2:9: error[E010]: `urls`: haltwatch adds the path of the API itself
            2 | urls = [… "<redacted>" …]
              |           ^^^^^^^^^^^^
              = help: leave out /api/v2/alerts"#]],
    );
}

#[test]
fn labels_cannot_be_named_like_those_that_haltwatch_writes_beside_them() {
    let infos = FAMILIES.iter().filter(|family| family.kind == Kind::Info && !family.source.labels().is_empty());
    for name in infos.flat_map(|family| family.labels.iter().chain(family.source.labels())) {
        let told = load(&format!("{RIGHT}labels = {{ {name} = \"x\" }}\n")).unwrap_err();
        assert!(told.contains("haltwatch gives this label its own meaning"), "{name}: {told}");
    }
}

#[test]
fn a_network_needs_a_node_and_a_monitor_a_network() {
    expect![[r#"
        <text>: error[E004]: there is no network to watch
          = help: add [[network]] with at least one [[network.node]]"#]]
    .assert_eq(&load("").unwrap_err());
    expect![[r#"
        <text>:1:1: error[E004]: the network has no node
        1 | [[network]]
          | ^^^^^^^^^^^
          = help: add [[network.node]] with name and url below it"#]]
    .assert_eq(&load("[[network]]\nname = \"n\"\nfamily = \"evm\"\n").unwrap_err());
    expect![[r#"
        <text>: error[E004]: there is no network to watch
          = help: add [[network]] with at least one [[network.node]]"#]]
    .assert_eq(&load("network = []").unwrap_err());
    expect![[r#"
        <text>:1:1: error[E005]: [network] must be [[network]]
        1 | [network]
          | ^^^^^^^^^
          = help: write [[network]]"#]]
    .assert_eq(&load("[network]\nname = \"n\"").unwrap_err());
}

#[test]
fn only_the_networks_in_the_circle_are_accused() {
    let network = |name: &str, on: &str| {
        let node = "node = [{ name = \"a\", url = \"http://127.0.0.1:1\" }]";
        format!("[[network]]\nname = \"{name}\"\nfamily = \"evm\"\ndepends_on = [{on}]\n{node}\n")
    };
    let text = ["l3 l2", "l2 l1", "l1 x", "x l2", "z"].map(|line| match line.split_once(' ') {
        Some((name, on)) => network(name, &format!("\"{on}\"")),
        None => network(line, ""),
    });
    expect![[r#"
        <text>:9:15: error[E014]: depends_on runs in a circle: "l2" -> "l1" -> "x" -> "l2"
        9 | depends_on = [… "l1" …]
          |                 ^^^^
          = help: a network cannot explain its own halt"#]]
    .assert_eq(&load(&text.concat()).unwrap_err());
}

/// Columns count characters, lines end at LF whatever stands before it, a byte order mark is no column.
#[test]
fn positions_hold_in_every_encoding_of_the_text() {
    let text = "\u{feff}[monitor]\r\nname = \"\u{fc}\u{fc}\u{fc}\"\r\n[defaults] # \u{1f6d1}\r\ninterval = 5\r\n";
    refused(
        text,
        &expect![[r#"
            <text>:4:12: error[E005]: `interval` must be a duration, not an integer
            4 | interval = 5
              |            ^
              = help: write a number with its unit, like "500ms", "5s", "5m" or "1h30m""#]],
    );
    refused(
        "[monitor]\nname = \"\u{1f6d1}\" ; x",
        &expect!["<text>:2:12: error[E002]: unexpected key or value, expected newline, `#`"],
    );
    refused(
        "web = { listen = [\"\u{1f6d1}\"], max = 1 }",
        &expect![[r#"
            <text>:1:19: error[E006]: "🛑" is not a socket address
            1 | listen = [… "🛑" …]
              |             ^^^
              = help: write an address and a port, like "127.0.0.1:10019" or "[::]:10019"
            <text>:1:25: error[E003]: unknown key `max`
            1 | max = "<redacted>"
              | ^^^
              = help: known here: listen, systemd_socket, config_file, enable_lifecycle, enable_silences, max_connections, max_requests, read_timeout, telemetry_path, external_url, route_prefix, runbook_url"#]],
    );
    load(&format!("\u{feff}{}", RIGHT.replace('\n', "\r\n"))).unwrap();
}

fn data(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/config").join(file)
}

/// An empty directory of this test's own.
fn scratch(test: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("config-{test}"));
    if directory.exists() {
        fs::remove_dir_all(&directory).unwrap();
    }
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// What is said about a file, with its directory left out.
fn load_file(path: &Path) -> Result<Config, String> {
    let directory = format!("{}/", path.parent().unwrap().display());
    config::load(&Source::File(path.to_owned())).map_err(|problems| problems.to_string().replace(&directory, ""))
}

#[test]
fn files_that_cannot_be_read_are_problems_of_the_whole_file() {
    let directory = scratch("unreadable");
    expect!["missing.toml: error[E001]: cannot be read: No such file or directory (os error 2)"]
        .assert_eq(&load_file(&directory.join("missing.toml")).unwrap_err());
    expect!["config-unreadable: error[E001]: cannot be read: Is a directory (os error 21)"]
        .assert_eq(&load_file(&directory).unwrap_err());

    let path = directory.join("latin1.toml");
    fs::write(&path, b"[monitor]\nname = \"M\xfcnchen\"\n").unwrap();
    expect![[r#"
        latin1.toml:2:10: error[E001]: not UTF-8
          = help: save the file in the encoding UTF-8"#]]
    .assert_eq(&load_file(&path).unwrap_err());

    let path = directory.join("large.toml");
    fs::write(&path, vec![b'#'; 16 * 1024 * 1024 + 1]).unwrap();
    expect![[r#"
        large.toml: error[E001]: larger than 16 MiB
          = help: watch some networks with another haltwatch"#]]
    .assert_eq(&load_file(&path).unwrap_err());
}

#[test]
fn a_file_without_permission_is_a_problem() {
    use std::os::unix::fs::PermissionsExt;
    let path = scratch("permission").join("locked.toml");
    fs::write(&path, RIGHT).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&path).is_ok() {
        return; // The superuser reads everything.
    }
    expect!["locked.toml: error: cannot be read: Permission denied (os error 13)"]
        .assert_eq(&load_file(&path).unwrap_err());
}

#[test]
fn problems_carry_their_position_as_data() {
    let problems = config::load(&Source::Text(format!("[defaults]\ninterval = 5\n{RIGHT}"))).unwrap_err();
    let [problem] = &problems.list[..] else { panic!("{problems}") };
    assert_eq!((problem.line, problem.column), (2, 12));
    assert!(problem.help.as_ref().unwrap().contains("5s"));
    assert_eq!(problems.source, "<text>");
}

/// The file sets every key to something that is not its default.
#[test]
fn every_key_arrives_where_it_belongs() {
    let path = data("all-keys.toml");
    assert_eq!(keys_missing_in(&fs::read_to_string(&path).unwrap()), [("alertmanager", "bearer_token")]);
    let config = without_warnings(load_file(&path).unwrap());
    let shown = format!("{config:#?}\n").replace(env!("CARGO_MANIFEST_DIR"), "");
    expect_file!["../data/config/all-keys.debug"].assert_eq(&shown);
}

#[test]
fn secrets_arrive_on_the_wire_and_nowhere_else() {
    let config = load_file(&data("all-keys.toml")).unwrap();
    let sent = |node: usize, name: &str| config.chain.nodes[node].rpc.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(sent(0, "authorization"), "Bearer S3CR3T");
    assert_eq!(sent(0, "x-key"), "literal ${S3CR3T}");
    assert_eq!(sent(1, "authorization"), "Basic aGFsdHdhdGNoOlMzQ1IzVA==");
    assert_eq!(sent(2, "authorization"), "Token S3CR3T");
    assert_eq!(config.chain.nodes[0].rpc.url(), "https://rpc.example.org/v3/S3CR3T?key=haltwatch");
    let ws = config.chain.nodes[0].ws.as_ref().unwrap();
    assert_eq!(ws.url(), "wss://rpc.example.org/ws/S3CR3T");
    assert_eq!(ws.headers(), config.chain.nodes[0].rpc.headers());
    let peers = &config.alertmanager.as_ref().unwrap().peers;
    assert_eq!(peers[1].headers()["authorization"], "Basic aGFsdHdhdGNoOlMzQ1IzVA==");
    assert!(peers.iter().all(|peer| peer.headers().values().all(http::HeaderValue::is_sensitive)));
    assert!(config.chain.nodes.iter().all(|node| node.rpc.headers().values().all(http::HeaderValue::is_sensitive)));
    assert!(!format!("{config:?}{config:#?}").contains("S3CR3T"));
}

#[test]
fn secret_files_that_cannot_be_secrets_are_refused() {
    let directory = scratch("secrets");
    fs::write(directory.join("large"), "S3CR3T".repeat(12_000)).unwrap();
    fs::write(directory.join("lines"), "S3CR3T\nS3CR3T\n").unwrap();
    fs::write(directory.join("binary"), b"S3CR3T\xff").unwrap();
    fs::write(directory.join("empty"), "\n").unwrap();
    fs::write(directory.join("fits"), "x".repeat(64 * 1024)).unwrap();
    let path = directory.join("config.toml");
    let files = ["large", "lines", "binary", "empty", "fits"];
    let headers: String = files.map(|file| format!("X-{file} = \"${{file:{file}}}\"\n")).concat();
    fs::write(&path, format!("{RIGHT}[network.node.headers]\n{headers}")).unwrap();
    expect![[r#"
        config.toml:9:11: error[E011]: the secret file large is larger than 64 KiB
          = help: a token is much shorter
        config.toml:10:11: error[E011]: the secret file lines holds control characters
           = help: a secret is one line of text
        config.toml:11:12: error[E011]: the secret file binary is not UTF-8
           = help: a secret is one line of text
        config.toml:12:11: error[E011]: the secret file empty is empty
           = help: a secret has at least one character"#]]
    .assert_eq(&load_file(&path).unwrap_err());
}

/// Whatever single character is lost or slips in, no problem tells the secrets that stand in the file.
#[test]
fn no_slip_of_the_keyboard_makes_a_problem_tell_a_secret() {
    let right = "\
[alertmanager]
urls = [\"http://S3CR3T.example/S3CR3T\"]
basic_auth = { username = \"S3CR3T\", password = \"S3CR3T\" }
[[network]]
name = \"n\"
family = \"evm\"
[[network.node]]
name = \"a\"
url = \"http://S3CR3T\" # S3CR3T
weight = 1
[network.node.headers]
X-Key = \"S3CR3T\"
";
    load(right).unwrap();
    let mut refusals = 0;
    for (at, letter) in right.char_indices() {
        let (before, after) = right.split_at(at);
        let replacements = [
            "", "\"", "=", "]", "}", "#", "
", "x",
        ];
        for replacement in replacements {
            for after in [after, &after[letter.len_utf8()..]] {
                if let Err(problems) = load(&format!("{before}{replacement}{after}")) {
                    assert!(!problems.contains("S3CR3T"), "{before}{replacement}{after}\n{problems}");
                    refusals += 1;
                }
            }
        }
    }
    assert!(refusals > 2_500, "{refusals}");
}

#[test]
fn what_is_nearer_wins() {
    let text = "\
[defaults]
interval = \"1s\"
timeout = \"1s\"
slow_factor = 2
missing_blocks = 20
halt_floor = \"20s\"
[[network]]
name = \"n\"
family = \"evm\"
timeout = \"2s\"
slow_factor = 3
halt_floor = \"40s\"
labels = { dc = \"network\", zone = \"1\" }
  [[network.node]]
  name = \"own\"
  url = \"http://127.0.0.1:1\"
  slow_factor = 4
  min_peers = 0
  labels = { dc = \"node\" }
  [[network.node]]
  name = \"plain\"
  url = \"http://127.0.0.1:2\"
[[network]]
name = \"m\"
family = \"evm\"
node = [{ name = \"v\", url = \"http://127.0.0.1:1\", role = \"validator\" }]
";
    let config = load(text).unwrap();
    let seconds = std::time::Duration::from_secs;
    let nodes: Vec<_> = config
        .engine
        .nodes
        .iter()
        .map(|node| (node.interval, node.timeout, node.limits.slow_factor, node.limits.min_peers, node.core))
        .collect();
    assert_eq!(nodes[0], (seconds(1), seconds(2), 4, None, false));
    assert_eq!(nodes[1], (seconds(1), seconds(2), 3, Some(1), false));
    assert_eq!(nodes[2], (seconds(1), seconds(1), 2, Some(1), true));
    let limits = [0, 1].map(|network| &config.engine.networks[network].limits);
    assert_eq!(limits.map(|limits| (limits.missing_blocks, limits.halt_floor)), [(20, seconds(40)), (20, seconds(20))]);
    let labels = |node: usize| {
        let labels = config.engine.nodes[node].labels.iter();
        labels.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!([labels(0), labels(1), labels(2)], ["dc=node zone=1", "dc=network zone=1", ""]);
}

#[test]
fn chain_ids_are_compared_as_numbers_however_they_are_written() {
    for (written, read) in [("1", "1"), ("\"1\"", "1"), ("\"0x7A69\"", "31337"), ("0x7a69", "31337"), ("\"007\"", "7")]
    {
        let config = load(&RIGHT.replace("family", &format!("chain_id = {written}\nfamily"))).unwrap();
        assert_eq!(config.engine.networks[0].chain_id.as_deref(), Some(read), "{written}");
    }
    // No Ethereum client can ever report such a one: every node would be called one of a wrong chain.
    load(&RIGHT.replace("family", "chain_id = \"test-1\"\nfamily")).unwrap_err();
}

#[test]
fn a_large_configuration_loads_and_a_boundless_one_is_refused() {
    let node = |n| format!("[[network.node]]\nname = \"{n}\"\nurl = \"http://127.0.0.1/{n}\"\n");
    let nodes = (0..5_000).fold(String::new(), |text, n| text + &node(n));
    let config = load(&format!("[[network]]\nname = \"n\"\nfamily = \"evm\"\n{nodes}")).unwrap();
    assert_eq!(config.chain.nodes.len(), 5_000);

    expect![[r#"
        <text>:10001:1: error[E007]: 10001 networks are too many
        10001 | [[network]]
              | ^^^^^^^^^^^
              = help: at most 10,000 for one haltwatch"#]]
    .assert_eq(&load(&"[[network]]\n".repeat(10_001)).unwrap_err());
    let nodes = "{},".repeat(100_001);
    let text = format!("[[network]]\nname = \"n\"\nfamily = \"evm\"\nnode = [{nodes}]");
    let refusal = load(&text).unwrap_err();
    assert!(refusal.starts_with("<text>:1:1: error[E007]: 100001 nodes are too many"), "{refusal}");
}

#[test]
fn the_first_thousand_problems_are_told() {
    let keys = (0..1_200).fold(String::new(), |text, n| text + &format!("key_{n} = 1\n"));
    let problems = config::load(&Source::Text(format!("{keys}{RIGHT}"))).unwrap_err();
    assert_eq!(problems.list.len(), 1_001);
    assert_eq!(problems.list[999].line, 1_000);
    assert_eq!(problems.list[1_000].message, "200 more problems");
}

/// Alertmanager refuses alerts whose link is not a URL, so a monitor's name never ends up in one.
#[test]
fn numbers_may_be_written_in_every_way_toml_knows() {
    let node = |keys: &str| load(&format!("{RIGHT}{keys}")).unwrap().chain.nodes.remove(0);
    for (written, read) in
        [("1_000_000", 1_000_000), ("0x1_000", 4096), ("+4096", 4096), ("\"64KiB\"", 65_536), ("\"2048B\"", 2048)]
    {
        assert_eq!(node(&format!("body_limit = {written}")).body_limit, read, "{written}");
    }
    for (written, read) in [("1_0", 10.0), ("1_0.5", 10.5), ("+1e-2", 0.01), ("0x10", 16.0)] {
        assert_eq!(node(&format!("requests_per_second = {written}")).requests_per_second, Some(read), "{written}");
    }
    for (written, read) in [("500ms", 500), ("1m30s", 90_000), ("1h", 3_600_000)] {
        assert_eq!(node(&format!("interval = \"{written}\"")).interval.as_millis(), read, "{written}");
    }
}

#[test]
fn a_source_is_debugged_without_its_text() {
    assert_eq!(format!("{:?}", Source::Text("bearer_token = \"S3CR3T\"".to_owned())), "<text>");
}
