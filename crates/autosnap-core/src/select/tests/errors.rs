// SPDX-License-Identifier: GPL-3.0-only
//! Invalid selections and their messages.

use super::*;

fn check_error(selection: &str, message: &str) {
    let error = Selection::parse(selection).unwrap_err();
    assert_eq!(error.to_string(), message, "{selection:?}");
}

#[test]
fn an_invalid_range_is_an_error_with_what_to_write() {
    for (selection, message) in [
        (
            "@all,-110:105",
            "invalid range of guest IDs `-110:105`: the first ID must not be greater than the last; write `-105:110`",
        ),
        (
            "100:",
            "invalid range of guest IDs `100:`: expected the first and the last ID, e.g. `100:110`",
        ),
        (
            ":110",
            "invalid range of guest IDs `:110`: expected the first and the last ID, e.g. `100:110`",
        ),
        (
            "100:110:120",
            "invalid range of guest IDs `100:110:120`: expected the first and the last ID, e.g. `100:110`",
        ),
        (
            "a:b",
            "invalid range of guest IDs `a:b`: expected the first and the last ID, e.g. `100:110`",
        ),
        (
            "100:+110",
            "invalid range of guest IDs `100:+110`: expected the first and the last ID, e.g. `100:110`",
        ),
        (
            "100:99999999999",
            "invalid range of guest IDs `100:99999999999`: expected the first and the last ID, e.g. `100:110`",
        ),
        (
            "110:100",
            "invalid range of guest IDs `110:100`: the first ID must not be greater than the last; write `100:110`",
        ),
    ] {
        check_error(selection, message);
    }
}

#[test]
fn an_invalid_selection_is_an_error_with_what_to_write() {
    let empty = "empty selection of guests: expected e.g. `100,web%`, or `@all` for all guests";
    for (selection, message) in [
        (
            "web*",
            "invalid term `web*`: `*` is not a wildcard; use `%` before or after a part of a guest name, e.g. `web%`, or \
             `@all` for all guests; write `web%`",
        ),
        (
            "we*b",
            "invalid term `we*b`: `*` is not a wildcard; use `%` before or after a part of a guest name, e.g. `web%`, or \
             `@all` for all guests",
        ),
        ("", empty),
        ("  ", empty),
        (",", empty),
        ("-", empty),
        (
            "99,110:105",
            "invalid guest ID `99`: must be between 100 and 999999999",
        ),
        (
            "@all,-99",
            "invalid guest ID `99`: must be between 100 and 999999999",
        ),
        (
            "@all,-@pol-x",
            "invalid group `-@pol-x`: expected `@all`, `@node-NAME`, `@pool-NAME`, `@tag-NAME`, `@type-vm`, `@type-ct`, `@running` or `@stopped`; did you mean `-@pool-x`?",
        ),
        (
            "5",
            "invalid guest ID `5`: must be between 100 and 999999999",
        ),
        (
            "99999999999",
            "invalid guest ID `99999999999`: must be between 100 and 999999999",
        ),
        (
            "%",
            "invalid term `%`: `%` must stand before or after a part of a guest name, e.g. `web%`; for all guests write `@all`",
        ),
        (
            "%%",
            "invalid term `%%`: `%` must stand before or after a part of a guest name, e.g. `web%`; for all guests write `@all`",
        ),
        (
            "we%b",
            "invalid term `we%b`: `%` must stand before or after a part of a guest name, e.g. `web%`; for all guests write `@all`",
        ),
        (
            "@tag-web%",
            "invalid term `@tag-web%`: `%` must stand before or after a part of a guest name, e.g. `web%`; for all guests write `@all`",
        ),
        (
            "@pools-x",
            "invalid group `@pools-x`: expected `@all`, `@node-NAME`, `@pool-NAME`, `@tag-NAME`, `@type-vm`, `@type-ct`, `@running` or `@stopped`; did you mean `@pool-x`?",
        ),
        (
            "@",
            "invalid group `@`: expected `@all`, `@node-NAME`, `@pool-NAME`, `@tag-NAME`, `@type-vm`, `@type-ct`, `@running` or `@stopped`",
        ),
        (
            "@pool-",
            "invalid group `@pool-`: expected the name of a pool after the `-`",
        ),
        (
            "all-",
            "invalid group `all-`: expected the name of a node after the `-`",
        ),
        (
            "@all,--100",
            "invalid exclusion `--100`: expected one `-` before the term",
        ),
        (
            "-100",
            "invalid selection `-100`: all terms are exclusions; to exclude them from all guests write `@all,-100`",
        ),
        (
            "-100,-@pool-x",
            "invalid selection `-100,-@pool-x`: all terms are exclusions; to exclude them from all guests write `@all,-100,-@pool-x`",
        ),
    ] {
        check_error(selection, message);
    }
}

#[test]
fn a_mistyped_group_has_a_suggestion() {
    for (term, nearest) in [
        ("@pol-prod", Some("@pool-prod")),
        ("@Tags-App-1", Some("@tag-App-1")),
        ("@ndoe-pve1", Some("@node-pve1")),
        ("@al", Some("@all")),
        ("@pol-", None),
        ("@vm-100", None),
        ("@", None),
    ] {
        let Err(error @ SelectionError::Group { .. }) = Selection::parse(term) else {
            panic!("{term} must be an invalid group");
        };
        let message = error.to_string();
        let suggested = message.split_once("; did you mean ").map(|(_, name)| name);
        let expected = nearest.map(|nearest| format!("`{nearest}`?"));
        assert_eq!(suggested, expected.as_deref(), "{term}");
    }
}

#[test]
fn terms_that_select_guests_in_the_c_sharp_tool_are_never_ignored() {
    for (selection, is_valid) in [
        ("100,%", false),
        ("100,@tag-", false),
        ("100,@storage-x", true),
        ("100,99", true),
    ] {
        let parsed = Selection::parse(selection);
        assert_eq!(parsed.is_ok(), is_valid, "{selection}");
    }
}
