//! stub
pub fn it_ends_politely_when_asked_to(_: &crate::bench::Bench) -> anyhow::Result<String> {
    anyhow::bail!("stub")
}
pub fn a_wrong_configuration_is_refused_with_its_position(_: &crate::bench::Bench) -> anyhow::Result<String> {
    anyhow::bail!("stub")
}
