//! The functions that a statement may call: those whose answer is never much larger than what they are given.
//!
//! What a function makes outside the memory pool no limit reaches, and constants are computed while
//! planning, where no time limit reaches either: one that repeats, pads, replaces or collects takes any
//! amount of memory. A function is added here when its answer is bounded, and to the guide's page on queries.

/// By kind, as in the guide.
const FUNCTIONS: [&[&str]; 5] = [
    &[
        "approx_distinct",
        "approx_median",
        "approx_percentile_cont",
        "avg",
        "bool_and",
        "bool_or",
        "corr",
        "count",
        "covar_pop",
        "covar_samp",
        "first_value",
        "last_value",
        "max",
        "mean",
        "median",
        "min",
        "stddev",
        "stddev_pop",
        "stddev_samp",
        "sum",
        "var",
        "var_pop",
        "var_samp",
    ],
    &["cume_dist", "dense_rank", "lag", "lead", "ntile", "percent_rank", "rank", "row_number"],
    &[
        "current_date",
        "current_timestamp",
        "date_bin",
        "date_format",
        "date_part",
        "date_trunc",
        "from_unixtime",
        "now",
        "to_char",
        "to_date",
        "to_timestamp",
        "to_timestamp_micros",
        "to_timestamp_millis",
        "to_timestamp_nanos",
        "to_timestamp_seconds",
        "to_unixtime",
        "today",
    ],
    &[
        "ascii",
        "btrim",
        "char_length",
        "character_length",
        "concat",
        "contains",
        "ends_with",
        "initcap",
        "instr",
        "left",
        "length",
        "lower",
        "ltrim",
        "octet_length",
        "position",
        "regexp_count",
        "regexp_like",
        "reverse",
        "right",
        "rtrim",
        "split_part",
        "starts_with",
        "strpos",
        "substr",
        "substring",
        "trim",
        "upper",
    ],
    &["coalesce", "greatest", "ifnull", "least", "nullif", "nvl", "nvl2"],
];

pub(super) fn all() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().flat_map(|kind| kind.iter().copied())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use datafusion::prelude::SessionContext;

    #[test]
    fn those_allowed_are_there_and_in_the_guide() {
        let state = SessionContext::new().state();
        let there: BTreeSet<&str> = (state.scalar_functions().keys())
            .chain(state.aggregate_functions().keys())
            .chain(state.window_functions().keys())
            .map(String::as_str)
            .collect();
        let guide = include_str!("../../../docs/guide/queries.md");
        for name in super::all() {
            assert!(there.contains(name), "{name}");
            assert!(guide.contains(&format!("`{name}`")), "{name} is not in the guide");
        }
    }
}
