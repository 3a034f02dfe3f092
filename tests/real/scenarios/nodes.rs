//! stub
pub fn one_stopped_validator_is_its_own_trouble_only(
    _: &crate::bench::Bench,
    _: &mut crate::injective::Injective,
) -> anyhow::Result<String> {
    anyhow::bail!("stub")
}
pub fn a_node_of_another_chain_is_quarantined_and_moves_nothing(
    _: &crate::bench::Bench,
    _: &mut crate::injective::Injective,
) -> anyhow::Result<String> {
    anyhow::bail!("stub")
}
pub fn bad_manners_stay_with_the_node_that_has_them(_: &crate::bench::Bench) -> anyhow::Result<String> {
    anyhow::bail!("stub")
}
