//! Files that are wrong, and files that are dangerous, with what is said about each: word for word, position included.
//! `tests/data/config/bad/*.toml` cannot be used; `tests/data/config/warned/*.toml` can, and are named after the code of
//! the one warning they cause. `UPDATE_EXPECT=1` rewrites what is said, which stands beside each as `.txt`.
#![allow(clippy::needless_raw_string_hashes, reason = "expect-test writes its texts that way")]
#![allow(clippy::redundant_closure_for_method_calls, reason = "a path to the method names one lifetime only")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use expect_test::{expect, expect_file};
use haltwatch::{
    cli::check_config::report::Report,
    config::{self, Code, Config, Problems, Severity, Source},
};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/config").join(name)
}

/// The files of a folder that end so, sorted, without that end.
fn files(folder: &Path, end: &str) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(end)?.to_owned())).collect();
    names.sort();
    names
}

/// What is loaded from a file of a folder; problems name the file alone.
fn load(folder: &Path, name: &str) -> Result<Config, Problems> {
    let source = format!("{name}.toml");
    match config::load(&Source::File(folder.join(&source))) {
        Ok(config) => Ok(Config { warnings: Problems { source, ..config.warnings.clone() }, ..config }),
        Err(problems) => Err(Problems { source, ..problems }),
    }
}

fn text(problems: &Problems) -> String {
    if problems.list.is_empty() { String::new() } else { format!("{problems}\n") }
}

#[test]
fn every_bad_file_is_refused_with_these_words() {
    let folder = folder("bad");
    let names = files(&folder, ".toml");
    assert!(100 < names.len(), "{}", names.len());
    assert_eq!(names, files(&folder, ".txt").as_slice(), "run with UPDATE_EXPECT=1 and read what is new");
    for name in names {
        let problems = load(&folder, &name).unwrap_err();
        assert!(problems.list.iter().all(|problem| problem.severity() == Severity::Error), "{name}");
        expect_file![folder.join(format!("{name}.txt"))].assert_eq(&text(&problems));
    }
}

#[test]
fn every_dangerous_file_loads_with_these_warnings() {
    let folder = folder("warned");
    let names = files(&folder, ".toml");
    assert_eq!(names, files(&folder, ".txt").as_slice(), "run with UPDATE_EXPECT=1 and read what is new");
    for name in names {
        let warnings = load(&folder, &name).unwrap_or_else(|problems| panic!("{name}\n{problems}")).warnings;
        let codes: BTreeSet<String> = warnings.list.iter().map(|problem| problem.code.to_string()).collect();
        let silent = name == "none" || name.contains("-not-");
        let wanted: Vec<String> = if silent { Vec::new() } else { vec![name[..4].to_uppercase()] };
        assert_eq!(codes.into_iter().collect::<Vec<_>>(), wanted, "{name}\n{warnings}");
        expect_file![folder.join(format!("{name}.txt"))].assert_eq(&text(&warnings));
    }
}

/// A code that nothing is known to cause is either dead or untested. Four need more than a file.
#[test]
fn every_code_is_caused_by_some_file() {
    let mut seen: BTreeSet<Code> = BTreeSet::new();
    for folder in ["bad", "warned"].map(folder) {
        for name in files(&folder, ".toml") {
            let problems = load(&folder, &name).map_or_else(|problems| problems, |config| config.warnings);
            seen.extend(problems.list.iter().map(|problem| problem.code));
        }
    }
    let unseen: Vec<&str> = Code::ALL.iter().filter(|code| !seen.contains(code)).map(|code| code.as_str()).collect();
    assert_eq!(unseen, ["E001", "E015", "E016", "W101", "W999"]);
}

fn report(folder_name: &str, name: &str, say: fn(&Report<'_>) -> String) -> String {
    match load(&folder(folder_name), name) {
        Ok(config) => {
            let counts = Some((config.engine.networks.len(), config.engine.nodes.len()));
            say(&Report { problems: &config.warnings, counts, online: None })
        }
        Err(problems) => say(&Report { problems: &problems, counts: None, online: None }),
    }
}

#[test]
fn machines_read_one_object() {
    let json = |folder: &str, name: &str| report(folder, name, |report| report.json()) + "\n";
    expect![[r#"
        {"file":"none.toml","valid":true,"errors":0,"warnings":0,"networks":1,"nodes":2,"problems":[]}
    "#]]
    .assert_eq(&json("warned", "none"));
    expect![[r#"
        {"file":"w102-token.toml","valid":true,"errors":0,"warnings":1,"networks":1,"nodes":2,"problems":[{"severity":"warning","code":"W102","line":20,"column":16,"end_column":null,"message":"the token stands in the configuration itself","help":"write ${NAME} or ${file:/path}","excerpt":"bearer_token = \"<redacted>\""}]}
    "#]].assert_eq(&json("warned", "w102-token"));
    expect![[r#"
        {"file":"depends-on-circle.toml","valid":false,"errors":1,"warnings":0,"problems":[{"severity":"error","code":"E014","line":3,"column":15,"end_column":18,"message":"depends_on runs in a circle: \"n\" -> \"m\" -> \"n\"","help":"a network cannot explain its own halt","excerpt":"depends_on = [… \"m\" …]"}]}
    "#]].assert_eq(&json("bad", "depends-on-circle"));
    expect![[r#"
        {"file":"missing-everything.toml","valid":false,"errors":1,"warnings":0,"problems":[{"severity":"error","code":"E004","line":null,"column":null,"end_column":null,"message":"there is no network to watch","help":"add [[network]] with at least one [[network.node]]"}]}
    "#]].assert_eq(&json("bad", "missing-everything"));
}

#[test]
fn github_shows_problems_beside_the_lines_they_are_on() {
    let github = |folder: &str, name: &str| report(folder, name, |report| report.github());
    expect![[r#"
        none.toml: good; networks: 1, nodes: 2
    "#]]
    .assert_eq(&github("warned", "none"));
    expect![[r#"
        ::warning file=w406.toml,line=6,col=10,endColumn=15,title=W406::an Alertmanager that was restarted misses alerts for up to 10m%0Ahelp: set `resend` to one or two minutes
        w406.toml: good, with 1 warning; networks: 1, nodes: 2
    "#]].assert_eq(&github("warned", "w406"));
    expect![[r#"
        ::error file=many-at-once.toml,line=2,col=1,endColumn=4,title=E003::unknown key `nam`%0Ahelp: did you mean `name`?
        ::error file=many-at-once.toml,line=3,col=13,endColumn=22,title=E006::"gateway" is not an address%0Ahelp: write "host:port"
        ::error file=many-at-once.toml,line=6,col=12,endColumn=13,title=E005::`interval` must be a duration, not an integer%0Ahelp: write a number with its unit, like "500ms", "5s", "5m" or "1h30m"
        ::error file=many-at-once.toml,line=7,col=15,endColumn=16,title=E007::2 is out of range%0Ahelp: `error_ratio` is 0 to 1
        ::error file=many-at-once.toml,line=11,col=10,endColumn=15,title=E008::"evn" is not a known family%0Ahelp: did you mean "evm"?
        ::error file=many-at-once.toml,line=12,col=15,endColumn=20,title=E013::there is no network "man"%0Ahelp: did you mean "main"?
        ::error file=many-at-once.toml,line=16,col=7,title=E010::`url`: not a URL; wanted something like https://host:port/path%0Ahelp: write scheme://host:port/path
        ::error file=many-at-once.toml,line=18,col=1,endColumn=17,title=E004::`url` is missing in network.node%0Ahelp: ask `haltwatch config explain network.node.url`
        ::error file=many-at-once.toml,line=19,col=8,endColumn=11,title=E009::this name is taken on line 15%0Ahelp: names of nodes are unique within their network
        ::error file=many-at-once.toml,line=20,col=8,endColumn=14,title=E008::"boss" is not a known role%0Ahelp: one of validator, sealer, observer, rpc, sentry, archive, bootnode
        many-at-once.toml: cannot be used; 10 errors
    "#]].assert_eq(&github("bad", "many-at-once"));
    expect![[r#"
        ::error file=missing-networks.toml,title=E004::there is no network to watch%0Ahelp: add [[network]] with at least one [[network.node]]
        missing-networks.toml: cannot be used; 1 error
    "#]].assert_eq(&github("bad", "missing-networks"));
}

#[test]
fn what_github_takes_for_the_end_of_a_command_is_escaped() {
    let mut problems = load(&folder("bad"), "type-text-for-percent").unwrap_err();
    problems.source = "a:b,c%d\n.toml".to_owned();
    expect![[r#"
        ::error file=a%3Ab%2Cc%25d%0A.toml,line=2,col=15,endColumn=19,title=E005::`error_ratio` must be a number, not a string%0Ahelp: write it without quotes
        a:b,c%25d%0A.toml: cannot be used; 1 error
    "#]].assert_eq(&Report { problems: &problems, counts: None, online: None }.github());
}

#[test]
fn colours_change_no_word() {
    let folder = folder("bad");
    for name in files(&folder, ".toml") {
        let problems = load(&folder, &name).unwrap_err();
        let report = Report { problems: &problems, counts: None, online: None };
        let coloured = report.text(true);
        assert!(coloured.contains("\x1b[1;31merror["), "{coloured}");
        let plain = ["\x1b[1;31m", "\x1b[36m", "\x1b[0m"].iter().fold(coloured, |text, code| text.replace(code, ""));
        assert_eq!(plain, report.text(false));
    }
}
