//! `haltwatch test-rules`: stories that come true, stories that do not, and files that cannot be read. The stories in
//! `tests/data/rules` are tests of the engine too.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use haltwatch::{
    config::{Source, load_story},
    ruletest,
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/rules")
}

fn story(text: &str) -> Result<Vec<String>, String> {
    let story = load_story(&Source::Text(text.to_owned())).map_err(|problems| problems.to_string())?;
    let failures = ruletest::play(&story).into_iter();
    Ok(failures.map(|it| format!("{}: {}\n{}", it.line, it.what, it.instead.join("\n"))).collect())
}

fn command(files: &[&Path]) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_haltwatch")).arg("test-rules").args(files).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
}

#[test]
fn our_own_stories_come_true() {
    let mut count = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        count += 1;
        let failures = story(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(failures.is_empty(), "{}:\n{}", path.display(), failures.join("\n"));
    }
    assert!(12 <= count, "{count} stories");
}

/// The text between the fences of the language `toml` in the documentation.
fn examples() -> Vec<String> {
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/rule-tests.md");
    let text = fs::read_to_string(docs).unwrap();
    let blocks = text.split("```toml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0.to_owned()));
    blocks.filter(|block| block.contains("[[expect]]") && !block.contains("config =")).collect()
}

#[test]
fn the_examples_of_the_documentation_come_true() {
    let examples = examples();
    assert!(!examples.is_empty());
    for example in examples {
        assert_eq!(story(&example).unwrap(), Vec::<String>::new(), "{example}");
    }
}

const HALT: &str = "[[network]]\nname = \"main\"\nblock_time = \"2s\"\nvalidators = [\"v1\", \"v2\", \"v3\"]\n\
                    height = \"100+2x2m 146\"\n";

#[test]
fn what_did_not_come_true_is_told_with_what_was_instead() {
    let expect = |text: &str| story(&format!("{HALT}[[expect]]\n{text}")).unwrap().concat();
    let course = "its course: firing at 2m 25s (L1)";
    for (text, told) in [
        (
            "at = \"2m\"\nalert = \"NetworkHalted\"",
            format!(
                "8: at 2m NetworkHalted main should be firing; it was never heard of\nnothing was told then\n{course}"
            ),
        ),
        (
            "at = \"3m\"\nalert = \"NetworkHalted\"\nlevel = \"L2\"",
            format!(
                "8: at 3m NetworkHalted main should be firing, L2; it is firing, L1, blocks_missing\n\
                 told then: NetworkHalted main L1 since 2m 25s\n{course}"
            ),
        ),
        (
            "at = \"1m\"\nuntil = \"4m\"\nnot = \"NetworkHalted\"",
            format!(
                "9: at 2m 25s (from 1m on) NetworkHalted main should be quiet; it is firing, L1, blocks_missing\n\
                 told then: NetworkHalted main L1 since 2m 25s\n{course}"
            ),
        ),
        (
            "at = \"4m\"\nalerts = [\"NodeOffline v1\"]",
            "8: at 4m exactly this should be told: NodeOffline main/v1\n\
             told then: NetworkHalted main L1 since 2m 25s"
                .to_owned(),
        ),
        ("at = \"4m\"\nalert = \"NetworkHalted\"\nreason = \"blocks_missing\"", String::new()),
    ] {
        assert_eq!(expect(text), told, "{text}");
    }
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_place() {
    for (text, problem) in [
        (
            format!("{HALT}[[expect]]\nat = \"1m\"\nalert = \"NetworkHaltd\""),
            "8:9: error[E008]: there is no alert \"NetworkHaltd\"",
        ),
        (
            format!("{HALT}[[expect]]\nat = \"1m\"\nalert = \"NodeOffline\"\nnode = \"v9\""),
            "9:8: error[E008]: there is no node \"v9\"",
        ),
        (format!("{HALT}[[expect]]\nat = \"soon\"\nalert = \"NetworkHalted\""), "7:6: error"),
        (format!("{HALT}[[expect]]\nalert = \"NetworkHalted\""), "`at` is missing"),
        (format!("{HALT}[[expect]]\nat = \"1m\""), "one of `alert`, `not` and `alerts` is needed"),
        (HALT.to_owned(), "nothing is expected"),
        (
            HALT.replace("100+2x2m", "100+2xtwo") + "[[expect]]\nnot = \"NetworkHalted\"",
            "5:10: error[E006]: `height`: `xtwo` is no count, like x30 or x2m",
        ),
        (HALT.replace("height", "heigth") + "[[expect]]\nnot = \"NetworkHalted\"", "did you mean `height`?"),
        ("[[expect]]\nat = \"1m\"\nalerts = []".to_owned(), "there is no network"),
        (
            format!("config = \"/nowhere.toml\"\n{HALT}[[expect]]\nnot = \"NetworkHalted\""),
            "the configuration cannot be used: /nowhere.toml",
        ),
        (format!("every = \"100ms\"\nlasts = \"30days\"\n{HALT}[[expect]]\nnot = \"NetworkHalted\""), "too many polls"),
        ("[[network]\n".to_owned(), "1:"),
    ] {
        let said = story(&text).unwrap_err();
        assert!(said.contains(problem), "{text}\n--- said:\n{said}\n--- wanted:\n{problem}");
    }
}

#[test]
fn rules_of_the_configuration_can_be_expected_by_their_names() {
    let folder = std::env::temp_dir().join(format!("haltwatch-own-rules-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let config = folder.join("c.toml");
    fs::write(
        &config,
        "[[network]]\nname = \"main\"\nfamily = \"evm\"\nblock_time = \"5s\"\n\
         [[network.node]]\nname = \"a\"\nurl = \"http://127.0.0.1:1\"\n\
         [[rule]]\nname = \"TooHigh\"\nscope = \"node\"\nwhen = \"node.height > 110\"\nlevel = \"L3\"\n\
         for = \"0s\"\nsummary = \"too high\"\n",
    )
    .unwrap();
    let expect = |alert: &str| {
        story(&format!(
            "config = \"{}\"\n[[network]]\nname = \"main\"\nheight = \"100+1x3m\"\n\
             [[expect]]\nat = \"30s\"\nnot = \"{alert}\"\nnode = \"a\"\n\
             [[expect]]\nat = \"2m\"\nalert = \"{alert}\"\nnode = \"a\"\nlevel = \"L3\"\n",
            config.display()
        ))
    };
    assert_eq!(expect("TooHigh").unwrap(), Vec::<String>::new());
    assert!(expect("TooHihg").unwrap_err().contains("did you mean \"TooHigh\"?"));
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn rules_about_versions_and_safe_blocks_can_be_tested() {
    let config = std::env::temp_dir().join(format!("haltwatch-version-rule-{}.toml", std::process::id()));
    fs::write(
        &config,
        "[[network]]\nname = \"main\"\nfamily = \"evm\"\nblock_time = \"5s\"\n\
         [[network.node]]\nname = \"a\"\nurl = \"http://127.0.0.1:1\"\n\
         [[rule]]\nname = \"OldAndUnsafe\"\nscope = \"node\"\nlevel = \"L3\"\nfor = \"0s\"\nsummary = \"old\"\n\
         when = \"node.version == 'geth/1.0' && node.height - node.safe_height > 20\"\n",
    )
    .unwrap();
    let told = story(&format!(
        "config = \"{}\"\n[[network]]\nname = \"main\"\nheight = \"100+1x5m\"\nsafe = \"90\"\n\
         version = \"geth/1.0 x2m geth/1.1\"\n\
         [[expect]]\nat = \"30s\"\nalert = \"OldAndUnsafe\"\nnode = \"a\"\nstate = \"quiet\"\n\
         [[expect]]\nat = \"90s\"\nalert = \"OldAndUnsafe\"\nnode = \"a\"\n\
         [[expect]]\nat = \"4m\"\nalert = \"OldAndUnsafe\"\nnode = \"a\"\nstate = \"resolved\"\n",
        config.display()
    ));
    fs::remove_file(config).unwrap();
    assert_eq!(told.unwrap(), Vec::<String>::new());
}

#[test]
fn a_configuration_is_tested_as_it_is() {
    let folder = std::env::temp_dir().join(format!("haltwatch-rules-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (config, good, bad) = (folder.join("c.toml"), folder.join("good.toml"), folder.join("bad.toml"));
    fs::write(
        &config,
        "[[network]]\nname = \"main\"\nfamily = \"evm\"\nblock_time = \"2s\"\nhalt_floor = \"3m\"\n\
         [[network.node]]\nname = \"a\"\nurl = \"http://127.0.0.1:1\"\n\
         [[network.node]]\nname = \"b\"\nurl = \"http://127.0.0.2:1\"\n\
         [[network]]\nname = \"other\"\nfamily = \"evm\"\n\
         [[network.node]]\nname = \"a\"\nurl = \"http://127.0.0.3:1\"\n",
    )
    .unwrap();
    let story = "config = \"c.toml\"\n[[network]]\nname = \"main\"\nheight = \"10+2x1m 33\"\n[[network.node]]\n\
                 name = \"b\"\nheight = \"10+2x1m 32\"\n[[expect]]\nnetwork = \"main\"\nalert = \"NetworkHalted\"\n";
    fs::write(&good, format!("{story}at = \"4m30s\"\n")).unwrap();
    fs::write(&bad, format!("{story}at = \"3m30s\"\n")).unwrap();
    let (code, told) = command(&[&good]);
    assert_eq!((code, told), (Some(0), format!("{}: ok, 1 expectation in 4m 30s\n", good.display())));
    let (code, told) = command(&[&good, &bad]);
    assert_eq!(code, Some(1));
    assert!(told.contains(&format!("{}:10: at 3m 30s NetworkHalted main should be firing", bad.display())), "{told}");
    assert!(told.ends_with("1 of 2 files failed\n"), "{told}");
    fs::write(
        &bad,
        "config = \"c.toml\"\n[[network]]\nname = \"mian\"\n[[expect]]\nnetwork = \"main\"\nnot = \"NetworkHalted\"",
    )
    .unwrap();
    let (code, told) = command(&[&bad, &good]);
    assert!(code == Some(2) && told.contains("did you mean \"main\"?"), "{told}");
    fs::remove_dir_all(folder).unwrap();
}
