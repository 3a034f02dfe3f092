//! A thousand scrapes at once through the real HTTP server.

/// How the server is started.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Nodes in the snapshot it serves.
    #[arg(long)]
    nodes: usize,
}

/// Serves until the standard input ends.
pub fn serve(options: &Options) -> anyhow::Result<()> {
    let _ = options;
    Ok(())
}
