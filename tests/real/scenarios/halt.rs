//! stub
pub fn a_loss_of_quorum_is_found_in_time_and_resolves(
    _: &crate::bench::Bench,
    _: &mut crate::injective::Injective,
) -> anyhow::Result<String> {
    anyhow::bail!("stub")
}
pub fn frozen_validators_are_a_halt_although_their_peers_look_fine(
    _: &crate::bench::Bench,
    _: &mut crate::injective::Injective,
) -> anyhow::Result<String> {
    anyhow::bail!("stub")
}
pub fn a_halt_older_than_the_monitor_is_found_at_once(
    _: &crate::bench::Bench,
    _: &mut crate::injective::Injective,
) -> anyhow::Result<String> {
    anyhow::bail!("stub")
}
