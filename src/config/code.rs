//! What can be said about a configuration, as a closed list: every kind of problem has a code that never changes its
//! meaning, so that it can be looked up, searched for and filtered by.

use std::fmt;

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can be used, but is dangerous, or does not do what it seems to say.
    Warning,
}

impl Severity {
    /// The word of outputs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Declares the codes: name, code, what it says of a configuration, what to do about it.
macro_rules! codes {
    ($($name:ident $code:literal $meaning:literal $remedy:literal;)*) => {
        /// What kind of problem it is. `E…` are errors, `W…` warnings.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $meaning] $name,)*
        }

        impl Code {
            /// Every code, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// `E005`, `W103`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What it says of a configuration, in one sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }

            /// What to do about it.
            #[must_use]
            pub fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
            }
        }
    };
}

codes! {
    Unreadable "E001" "The file cannot be read, is larger than 16 MiB, or is not UTF-8."
        "Check the path, the owner and the encoding.";
    Syntax "E002" "This is not TOML."
        "Quote texts, write `key = value`, and `[[network]]` for each network.";
    UnknownKey "E003" "There is no such key here."
        "Take the key that is suggested, or ask `haltwatch config explain KEY`.";
    Missing "E004" "Something required is not there."
        "Add it; `haltwatch config example` shows where.";
    WrongType "E005" "The value is of the wrong type."
        "Write durations and names in quotes, numbers, `true` and `false` without.";
    BadValue "E006" "The value cannot be understood or used."
        "Write it as the help says.";
    OutOfRange "E007" "A number, a duration or a count of things is too small or too large."
        "Choose one within the range that the help names.";
    UnknownWord "E008" "The value is not one of the words that are known here."
        "Take one of those that the help names.";
    Duplicate "E009" "A name, an address or a header is there twice."
        "Remove or rename one of them. The same node twice would have two votes.";
    BadAddress "E010" "This is not a URL, or not one that can be used here."
        "Write `scheme://host:port/path`; credentials go into `basic_auth` or `bearer_token`.";
    BadReference "E011" "`${…}` refers to a variable or a file that is not there or cannot be a secret."
        "Set the variable where haltwatch starts, or check path, owner and content of the file.";
    BadName "E012" "The name of a label or of a header cannot be used."
        "Choose another one. Names that haltwatch or Prometheus use themselves are taken.";
    UnknownNetwork "E013" "`depends_on`, or a source of nodes, names a network that does not exist."
        "Write the `name` of a `[[network]]`.";
    Circle "E014" "`depends_on` runs in a circle, so a network would explain its own halt."
        "Name only networks that work without this one.";
    TooManyProblems "E015" "There are more problems than are told in one run."
        "Mend those that are told, and check again.";
    BadWebConfig "E016" "The web configuration file that `config_file` names cannot be used."
        "Mend it; `haltwatch check-web-config PATH` checks it alone.";
    BadExpression "E017" "The expression or the summary of a rule cannot be used."
        "Mend it at the place that is named; docs/custom-rules.md tells what is known there.";
    UnknownField "E018" "A rule asks about something that is not known here."
        "Take the field that is suggested, or one of docs/custom-rules.md.";
    BadMatcher "E019" "A silence has a matcher that cannot be used, or would silence the dead man's switch."
        "Write it as Alertmanager does: `network=main`, `level!=L1`, `alertname=~\"Node.*\"`.";

    OpenSecretFile "W101" "Others can read a file that holds a secret, or change it."
        "`chmod 600` it, or 640 with owner root and the group of haltwatch. Files below `$CREDENTIALS_DIRECTORY` are \
         guarded by systemd and not looked at.";
    PlainSecret "W102" "A secret stands in the configuration itself."
        "Write `${NAME}` or `${file:/path}`: configurations are copied, mailed and put under version control.";
    PlainKeyInUrl "W103" "A part of the URL looks like an API key that stands in the configuration itself."
        "Put the key into a variable or a file: `https://host/v3/${RPC_KEY}`. Ignore this if the part is no secret.";
    ClearText "W104" "Credentials are sent to another machine without encryption."
        "Use https, or a tunnel that ends on this machine.";
    UnreadableFile "W105" "A certificate or a key is not there, or the user that checks may not read it, or may not read a cookie file."
        "Check path, owner and mode. Ignore this if you check as another user, or on another machine, than haltwatch runs.";

    SameNode "W201" "Two nodes of a network seem to be one: their URLs differ in spelling only, or both are this machine."
        "Remove one. The same node twice has two votes and confirms itself.";
    NodeInTwoNetworks "W202" "Two networks watch the same URL."
        "A node speaks for one chain. Correct the URL, unless both networks are views of the same chain.";
    SingleNode "W203" "A network has one node only, so nothing it says can be checked."
        "Add a second node on another machine, best of another operator.";
    SingleHost "W204" "All nodes of a network are on one host, so they fail together and look like a halt."
        "Add a node on another machine.";
    NotPinned "W205" "A network with core nodes has neither `chain_id` nor `genesis`, so its nodes decide together which \
        chain is the right one."
        "Set `chain_id`. Then a node on a wrong chain is quarantined even if it is in the majority.";

    HastyHalt "W301" "A halt is told when fewer than three blocks are missing, which healthy networks do."
        "Raise `missing_blocks` or `halt_floor`.";
    UnseenHalt "W302" "The nodes are polled too rarely for the threshold of a halt: it is told late."
        "Poll at least three times within the threshold: lower `interval`, or raise `halt_floor`.";
    SlowTimeout "W303" "`timeout` is longer than `interval`, so a node that hangs is polled less often than it says."
        "Lower `timeout`, or raise `interval`.";
    NoTolerance "W304" "The loss of one core node alone is more than `tolerance` allows."
        "Check `weight`, `tolerance` and which nodes are `core`. If the chain really stops without this node, all is \
         well. If only some of its core nodes are listed, as where one validates among many, say how many there are \
         with `core_total`, list all of them, or set `core = false`.";
    NoEffect "W305" "The key has no effect where it stands."
        "Remove it, or set `role` or `core` so that there are core nodes.";
    LateExcuse "W306" "A network in `depends_on` is declared halted only after this one, too late to explain its halt."
        "Give the network that others depend on the lower threshold (`missing_blocks`, `halt_floor`).";
    DeepDependency "W307" "`depends_on` is followed eight networks deep, and this chain is longer."
        "Name the network at the bottom directly.";
    OddTotal "W308" "`core_total` is less than the weight of the core nodes that are listed, so it cannot be true."
        "Set it to the weight of all core nodes of the network, those included that are not watched, or remove it.";
    OddPace "W309" "`cadence`, `block_time` and `finality_lag` do not fit each other, or any network that is known."
        "\"poisson\" is for proof of work and lotteries, with minutes between blocks; validators that take turns are \
         \"interval\" or \"slots\". A `finality_lag` of more than a day makes FinalityStalled worthless.";
    HastyBranch "W310" "Forks and reorganisations of one block or two are told, which healthy networks have every day."
        "Raise `split_blocks` to 3 or more, or `reorg_depth` to 2 or more.";
    PastPlan "W311" "A planned halt is over already, so it has no effect."
        "Remove it, or correct its year.";
    LongPlan "W312" "A planned halt lasts longer than a week; all the while a real halt of the network is not told."
        "Give it the time that the work takes. If it takes longer, the halt is told as overrun, and `until` can be moved.";
    UnseenWork "W313" "Blocks come only for work here, but the nodes never tell that any waits: a halt looks like idleness."
        "For a chain that is hardly ever idle write `cadence = \"idle_max\"` and its longest ordinary gap as `idle_max`. \
         In a generic network tell `pending` or `heartbeat`. Where neither is possible, a halt shows only by core nodes \
         that are gone.";
    ManyRequests "W314" "Each poll of a node makes more than two requests, which is more than many operators allow."
        "Give what changes slowly a pace of its own, like `every = \"1m\"`, or raise `interval`.";

    NoCanary "W401" "There are no canaries, so an outage of your own uplink looks like an outage of everything."
        "Set `canaries` to two or three addresses that answer whenever your own network is fine.";
    UselessCanary "W402" "A canary proves nothing: it is this machine, or the host of a node."
        "Choose something else: the gateway, a DNS server, a second provider.";
    NoAlertmanager "W403" "There is no Alertmanager, so alerts are only shown: nobody is called."
        "Add `[alertmanager]` with `urls`, unless Prometheus decides with the rules that come with haltwatch.";
    OddAlertmanager "W404" "The address of an Alertmanager is that of haltwatch itself, or of a node."
        "Correct the URL. Alertmanager usually listens on port 9093.";
    LocalLink "W405" "Alerts link to an address that means the reader's own machine."
        "Set `external_url` to where people reach haltwatch.";
    SlowResend "W406" "Alerts are repeated so rarely that an Alertmanager which was restarted misses them for long."
        "Set `resend` to one or two minutes.";
    OpenServer "W407" "Everybody who can reach this machine can read the pages of haltwatch."
        "Listen on one address, or name a `config_file` with users.";
    TooManyWarnings "W999" "There are more warnings than are told in one run."
        "Mend those that are told, and check again.";
}

impl Code {
    /// How bad it is.
    #[must_use]
    pub fn severity(self) -> Severity {
        if self.as_str().starts_with('E') { Severity::Error } else { Severity::Warning }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_is_its_own() {
        let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        for code in &codes {
            assert!(code.len() == 4 && code.starts_with(['E', 'W']) && code[1..].parse::<u16>().is_ok(), "{code}");
        }
    }
}
