//! What was built: the same words in metrics, API and on the page.

/// Version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Source revision it was built from, if the builder said so in `HALTWATCH_REVISION`.
pub const REVISION: &str = or_unknown(option_env!("HALTWATCH_REVISION"));

/// Compiler it was built with, if the builder said so in `HALTWATCH_RUSTC`; at least the one the crate asks for.
pub const RUSTC: &str = match option_env!("HALTWATCH_RUSTC") {
    Some(said) => said,
    None => concat!(">=", env!("CARGO_PKG_RUST_VERSION")),
};

/// Platform it was built for.
pub const TARGET: &str = target();

/// The labels of `haltwatch_build_info`.
pub const LABELS: [(&str, &str); 4] =
    [("version", VERSION), ("revision", REVISION), ("rustc", RUSTC), ("target", TARGET)];

const fn or_unknown(said: Option<&'static str>) -> &'static str {
    match said {
        Some(said) => said,
        None => "unknown",
    }
}

const fn target() -> &'static str {
    if cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        "x86_64-linux"
    } else if cfg!(all(target_arch = "aarch64", target_os = "linux")) {
        "aarch64-linux"
    } else {
        "other"
    }
}
