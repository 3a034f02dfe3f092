//! The runbooks themselves, embedded: every file of `docs/runbooks`. A test compares this list with the folder.

macro_rules! shelf {
    ($($name:literal)*) => {
        /// Name and text of every runbook, the index included.
        pub const SHELF: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../docs/runbooks/", $name, ".md"))),)*];
    };
}

shelf! {
    "BlocksSlow"
    "FinalityStalled"
    "HaltwatchAbsent"
    "HaltwatchAlertmanagerClockSkew"
    "HaltwatchAlertsDropped"
    "HaltwatchAlertsWaiting"
    "HaltwatchCannotDeliver"
    "HaltwatchClockWrong"
    "HaltwatchDecidesNothing"
    "HaltwatchDeliveryFailing"
    "HaltwatchDiscoveryEmpty"
    "HaltwatchDiscoveryFailing"
    "HaltwatchDown"
    "HaltwatchIsolated"
    "HaltwatchNodeUnknown"
    "HaltwatchOutOfFiles"
    "HaltwatchQueueFilling"
    "HaltwatchReloadFailed"
    "HaltwatchRestarts"
    "HaltwatchScrapeSlow"
    "HaltwatchTaskPanics"
    "HaltwatchTooFewVoters"
    "HaltwatchWatchdogMissing"
    "HaltwatchWebConfigFailed"
    "HeightRegression"
    "HostCpu"
    "HostDisk"
    "HostDiskFilling"
    "HostLoad"
    "HostMemory"
    "MonitorIsolated"
    "NetworkHalted"
    "NetworkStandsStill"
    "NetworkUnreachable"
    "NodeClockSkew"
    "NodeErrors"
    "NodeForked"
    "NodeLagging"
    "NodeLowPeers"
    "NodeOffline"
    "NodeRateLimited"
    "NodeSlow"
    "NodeStalled"
    "NodeSyncing"
    "NodeUnauthorized"
    "NodeWrongChain"
    "PrometheusWatchdog"
    "QuorumAtRisk"
    "RuleFailing"
    "Watchdog"
    "README"
}
